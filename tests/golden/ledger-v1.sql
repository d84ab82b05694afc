-- A ledger as version 1 writes it: the schema, and one document in its second revision. Never edit; a new
-- schema version gets a file of its own, and this one must still open.
PRAGMA application_id = 1179538515;
PRAGMA user_version = 1;

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

INSERT INTO documents VALUES (X'0b9c2f0e11114222833344445555aaaa', 'files', X'2f617263686976652f73697a652e6d64', '/archive/size.md', NULL);
INSERT INTO revisions VALUES (1, X'0b9c2f0e11114222833344445555aaaa', 1, 'superseded', 1800000000000, X'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', 26, 'text/markdown', 'Maße', NULL, '2026-11-21T08:00:00Z', 'de', 1, 1, '["staff"]', 1, 'fontes 1, text-splitter 0.33, max 256, overlap 32, tokens of e5 0000', 'title_and_headings 48');
INSERT INTO contents VALUES (1, X'4d61c39f650a0a4772c3b6c39f653a2065696e204d657465722e', X'7b227061676573223a5b7b226e756d626572223a312c227370616e223a7b227374617274223a302c22656e64223a32367d2c2273697a65223a6e756c6c2c226d6574686f64223a2274657874227d5d2c22626c6f636b73223a5b7b226b696e64223a2268656164696e67222c226c6576656c223a312c227370616e223a7b227374617274223a302c22656e64223a357d2c2270616765223a317d2c7b226b696e64223a22706172616772617068222c227370616e223a7b227374617274223a372c22656e64223a32367d2c2270616765223a317d5d7d');
INSERT INTO revisions VALUES (2, X'0b9c2f0e11114222833344445555aaaa', 2, 'active', 1800000000000, X'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb', 27, 'text/markdown', 'Maße', NULL, '2026-11-21T08:00:00Z', 'de', 1, 1, '["staff"]', 1, 'fontes 1, text-splitter 0.33, max 256, overlap 32, tokens of e5 0000', 'title_and_headings 48');
INSERT INTO contents VALUES (2, X'4d61c39f650a0a4772c3b6c39f653a207a776569204d657465722e', X'7b227061676573223a5b7b226e756d626572223a312c227370616e223a7b227374617274223a302c22656e64223a32377d2c2273697a65223a6e756c6c2c226d6574686f64223a2274657874227d5d2c22626c6f636b73223a5b7b226b696e64223a2268656164696e67222c226c6576656c223a312c227370616e223a7b227374617274223a302c22656e64223a357d2c2270616765223a317d2c7b226b696e64223a22706172616772617068222c227370616e223a7b227374617274223a372c22656e64223a32377d2c2270616765223a317d5d7d');
INSERT INTO chunks VALUES (2, 0, X'404142434445464748494a4b4c4d4e4f', 7, 27, 1, 1, '["Maße"]', 'de');
INSERT INTO quarantine VALUES ('files', X'2f617263686976652f6c6f636b65642e706466', '/archive/locked.pdf', X'cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc', 'invalid', 'encrypted', 'PDF is encrypted', 'save a copy without password or rights management and ingest that', 0, 1, 1800000000000);
UPDATE snapshot SET number = 7;
