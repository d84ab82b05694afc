-- What version 2 of the ledger adds: names and numbers of the one patient a document is about, as JSON.
ALTER TABLE revisions ADD COLUMN patient TEXT NOT NULL DEFAULT '[]';
