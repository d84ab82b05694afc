-- What version 2 makes of the ledger of ledger-v1.sql, and a patient in it. Never edit; a new schema version gets a file of
-- its own, and both must still open.
ALTER TABLE revisions ADD COLUMN patient TEXT;
ALTER TABLE revisions ADD COLUMN patient_around TEXT NOT NULL DEFAULT '[]';
UPDATE revisions SET patient = '["P-4711","Eva Beispiel"]' WHERE id = 2;
PRAGMA user_version = 2;
