-- What a key is for is one of the short list of gateway/store/purposes.py; the rest is a note.
ALTER TABLE api_key ADD COLUMN note text NOT NULL DEFAULT '';
UPDATE api_key
SET note = CASE purpose WHEN 'unstated' THEN '' ELSE purpose END, purpose = ''
WHERE purpose NOT IN ('', 'care', 'planning', 'operation', 'follow_up', 'audit', 'access_request');
ALTER TABLE api_key ADD CONSTRAINT api_key_purpose
    CHECK (purpose IN ('', 'care', 'planning', 'operation', 'follow_up', 'audit', 'access_request'));
COMMENT ON COLUMN api_key.purpose IS 'stands beside each look in the access log; empty: each request may say its own';
COMMENT ON COLUMN api_key.note IS 'such as the number of the case that the key was made for';
GRANT SELECT (note), INSERT (note) ON api_key TO trygport_api;

-- A key is a program's: with one for a colleague's role an administrator would act in their name.
CREATE POLICY of_programs ON api_key AS RESTRICTIVE FOR INSERT TO trygport_api
    WITH CHECK (EXISTS (SELECT FROM access a WHERE a.municipality = api_key.municipality
                          AND a.id = api_key.access AND a.role = 'robot'));
