-- The repair sweep: what is received and not watched is put among what is left to judge.

GRANT INSERT ON pending TO trygport_watch;
-- Which batches of a stream there are, not what was sent.
GRANT SELECT (received, stream, batch) ON message TO trygport_watch;
