-- What version 2 of the ledger adds: names and numbers of the one patient a document is about, as JSON, and those of the
-- document around it when it was read. A patient that is NULL was never looked for.
ALTER TABLE revisions ADD COLUMN patient TEXT;
ALTER TABLE revisions ADD COLUMN patient_around TEXT NOT NULL DEFAULT '[]';
