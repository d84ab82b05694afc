-- Schema of the ledger, version 1. The text of this file is part of the format: see tests/golden/ledger-v1.sql.

-- A source item that was ever stored. Identity survives changes of content.
CREATE TABLE documents (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    source TEXT NOT NULL,
    locator BLOB NOT NULL,
    path TEXT NOT NULL,
    parent BLOB,
    UNIQUE (source, locator)
) STRICT, WITHOUT ROWID;
CREATE INDEX documents_by_parent ON documents (parent) WHERE parent IS NOT NULL;

-- One reading of a document. At most one is active, at most one is on its way.
CREATE TABLE revisions (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    document BLOB NOT NULL REFERENCES documents (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'active', 'superseded', 'removed')),
    recorded_ms INTEGER NOT NULL,
    sha256 BLOB NOT NULL CHECK (length(sha256) = 32),
    bytes INTEGER NOT NULL,
    media_type TEXT NOT NULL,
    title TEXT NOT NULL,
    author TEXT,
    created TEXT,
    language TEXT NOT NULL,
    pages INTEGER NOT NULL,
    chunks INTEGER NOT NULL,
    access_groups TEXT NOT NULL,
    classification INTEGER NOT NULL,
    chunker TEXT NOT NULL,
    context TEXT NOT NULL,
    UNIQUE (document, number)
) STRICT;
CREATE UNIQUE INDEX revisions_active ON revisions (document) WHERE state = 'active';
CREATE UNIQUE INDEX revisions_pending ON revisions (document) WHERE state = 'pending';
CREATE INDEX revisions_by_digest ON revisions (sha256);

-- The stored text as UTF-8 bytes, and pages and blocks as JSON. Dropped when a document is removed.
CREATE TABLE contents (
    revision INTEGER PRIMARY KEY REFERENCES revisions (id) ON DELETE CASCADE,
    text BLOB NOT NULL,
    structure BLOB NOT NULL
) STRICT;

-- Chunks are spans of the stored text; their text is not stored twice.
CREATE TABLE chunks (
    revision INTEGER NOT NULL REFERENCES revisions (id) ON DELETE CASCADE,
    ordinal INTEGER NOT NULL,
    id BLOB NOT NULL CHECK (length(id) = 16),
    span_start INTEGER NOT NULL,
    span_end INTEGER NOT NULL,
    first_page INTEGER NOT NULL,
    last_page INTEGER NOT NULL,
    headings TEXT NOT NULL,
    language TEXT NOT NULL,
    PRIMARY KEY (revision, ordinal)
) STRICT, WITHOUT ROWID;
CREATE INDEX chunks_by_id ON chunks (id);

-- Work that the indexes still owe the ledger. Empty when all three agree.
CREATE TABLE outbox (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    operation TEXT NOT NULL CHECK (operation IN ('activate', 'roll_back', 'retire', 'forget')),
    document BLOB NOT NULL REFERENCES documents (id) ON DELETE CASCADE,
    revision INTEGER REFERENCES revisions (id) ON DELETE CASCADE
) STRICT;

-- Files that gave no document, and why.
CREATE TABLE quarantine (
    source TEXT NOT NULL,
    locator BLOB NOT NULL,
    path TEXT NOT NULL,
    sha256 BLOB,
    kind TEXT NOT NULL,
    code TEXT NOT NULL,
    message TEXT NOT NULL,
    advice TEXT,
    transient INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    recorded_ms INTEGER NOT NULL,
    PRIMARY KEY (source, locator)
) STRICT, WITHOUT ROWID;

-- The number of the present snapshot: one row.
CREATE TABLE snapshot (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    number INTEGER NOT NULL
) STRICT;
INSERT INTO snapshot (one, number) VALUES (1, 0);
