COMMENT ON COLUMN device_secret.key IS
    'sealed (gateway/store/seal.py): opened by who reads frames, with a key outside the database; 16 bytes as they are until `gateway seal` has run';
