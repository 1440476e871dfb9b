-- The log of versions. Portable between SQLite and MariaDB: integers, text, bytes; every key leads with the account or
-- grows at its end, so that an account's rows lie together and no key is random. KEYTEXT and KEYBLOB are text and bytes in a
-- key, of at most 1,024 bytes (mariadb_schema.h); others have at most 16 MiB.
--
-- head: one row per account, the counters of its log. change and stamp are those of the last journal row; tree is the
-- change that last altered a collection's definition; floor: the past before that change is purged, but for what snapshots
-- show (9223372036854775807: the account itself is being purged).
CREATE TABLE head (
  account INTEGER NOT NULL PRIMARY KEY,
  tenant INTEGER NOT NULL,
  domain INTEGER NOT NULL,          -- dedupe domain of its blobs
  change_no INTEGER NOT NULL,
  stamp INTEGER NOT NULL,
  tree INTEGER NOT NULL,
  floor INTEGER NOT NULL,
  next_collection INTEGER NOT NULL,
  next_uidvalidity INTEGER NOT NULL,
  messages INTEGER NOT NULL,        -- entries that show, and their bytes
  bytes INTEGER NOT NULL
);

-- collection: the folders, address books, ... that exist now. begin_no: the change that gave it this definition.
-- change_no: its last change of any kind (HIGHESTMODSEQ). The counters are no versions: they move with every delivery.
CREATE TABLE collection (
  account INTEGER NOT NULL,
  id INTEGER NOT NULL,
  begin_no INTEGER NOT NULL,
  created_no INTEGER NOT NULL,
  kind INTEGER NOT NULL,
  parent INTEGER NOT NULL,
  name KEYTEXT NOT NULL,
  attributes INTEGER NOT NULL,      -- bits: subscribed, not selectable, special-use
  uidvalidity INTEGER NOT NULL,
  uidnext INTEGER NOT NULL,
  change_no INTEGER NOT NULL,
  recent INTEGER NOT NULL,          -- UIDs below it are not \Recent any more
  messages INTEGER NOT NULL,
  unseen INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  keywords TEXT,                    -- ever used in it, blank-separated
  PRIMARY KEY (account, id)
) WITHOUT ROWID;
-- A folder is found by its path, a component at a time, however many there are.
CREATE INDEX collection_place ON collection (account, parent, name);

-- What collection rows were before end_no. A collection that was deleted whole keeps its entries in live: its last row
-- here is all that says so, and putting that row back brings everything back.
CREATE TABLE collection_past (
  account INTEGER NOT NULL,
  end_no INTEGER NOT NULL,
  id INTEGER NOT NULL,
  begin_no INTEGER NOT NULL,
  created_no INTEGER NOT NULL,
  kind INTEGER NOT NULL,
  parent INTEGER NOT NULL,
  name TEXT NOT NULL,
  attributes INTEGER NOT NULL,
  uidvalidity INTEGER NOT NULL,
  uidnext INTEGER NOT NULL,
  change_no INTEGER NOT NULL,
  recent INTEGER NOT NULL,
  messages INTEGER NOT NULL,
  unseen INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  keywords TEXT,
  PRIMARY KEY (account, end_no, id)
) WITHOUT ROWID;

-- live: the current version of each entry. created_no: when it came into the collection; change_no: when it got this
-- version (MODSEQ). viewer: 0, or whose overlay of flags this is. name, data: items that are not mail.
CREATE TABLE live (
  account INTEGER NOT NULL,
  collection INTEGER NOT NULL,
  viewer INTEGER NOT NULL,
  uid INTEGER NOT NULL,
  created_no INTEGER NOT NULL,
  change_no INTEGER NOT NULL,
  kind INTEGER NOT NULL,
  flags INTEGER NOT NULL,
  keywords TEXT,
  date INTEGER NOT NULL,            -- INTERNALDATE, us
  saved INTEGER NOT NULL,           -- when it came into this collection, us
  email INTEGER NOT NULL,
  size INTEGER NOT NULL,
  name TEXT,
  data BLOB,
  PRIMARY KEY (account, collection, viewer, uid)
) WITHOUT ROWID;

-- uid_map: the UIDs of a large mailbox at one change, so that who sees it for the first time need not read its rows. Nothing
-- but a shortcut: any state since the floor is right, and all rows may be removed.
CREATE TABLE uid_map (
  account INTEGER NOT NULL,
  collection INTEGER NOT NULL,
  change_no INTEGER NOT NULL,
  uids BLOB NOT NULL,               -- mailbox/uidmap_saved.c
  PRIMARY KEY (account, collection)
) WITHOUT ROWID;

-- past: versions that a change replaced or ended. The state at change N: live and past rows with
-- change_no <= N, and for past rows N < end_no.
CREATE TABLE past (
  account INTEGER NOT NULL,
  collection INTEGER NOT NULL,
  end_no INTEGER NOT NULL,
  viewer INTEGER NOT NULL,
  uid INTEGER NOT NULL,
  created_no INTEGER NOT NULL,
  change_no INTEGER NOT NULL,
  kind INTEGER NOT NULL,
  gone INTEGER NOT NULL,            -- 1: the entry ended with this version; 0: another version followed
  flags INTEGER NOT NULL,
  keywords TEXT,
  date INTEGER NOT NULL,
  saved INTEGER NOT NULL,
  email INTEGER NOT NULL,
  size INTEGER NOT NULL,
  name TEXT,
  data BLOB,
  PRIMARY KEY (account, collection, end_no, viewer, uid)
) WITHOUT ROWID;

-- names: live items that are found by name (addresses, snapshots, DAV resources).
CREATE TABLE names (
  account INTEGER NOT NULL,
  collection INTEGER NOT NULL,
  name KEYTEXT NOT NULL,
  uid INTEGER NOT NULL,
  PRIMARY KEY (account, collection, name)
) WITHOUT ROWID;

-- sharing: whose folders somebody may find something in; viewer 0: anybody. Where to look, not what is there: rights are items of
-- the owner's log, and a row stays when they are taken back.
CREATE TABLE sharing (
  viewer INTEGER NOT NULL,
  owner INTEGER NOT NULL,
  PRIMARY KEY (viewer, owner)
) WITHOUT ROWID;
CREATE INDEX sharing_owner ON sharing (owner);

-- email: what entries that show the same message share. id is minted, so that rows of all accounts are added at the end
-- of the table: they are large, and a page of each account's own would be written anew for every one. summary: see
-- mime_summary.h.
CREATE TABLE email (
  id INTEGER NOT NULL PRIMARY KEY,
  account INTEGER NOT NULL,
  body INTEGER NOT NULL,
  size INTEGER NOT NULL,            -- of the message, bytes
  thread INTEGER NOT NULL,
  sent INTEGER NOT NULL,            -- Date:, seconds; INTEGER minimum where there is none
  created_no INTEGER NOT NULL,
  key_id INTEGER NOT NULL,
  summary BLOB NOT NULL
);

-- journal: one row per change. kind says what was done, body (see log_body.h) to what.
CREATE TABLE journal (
  account INTEGER NOT NULL,
  change_no INTEGER NOT NULL,
  stamp INTEGER NOT NULL,           -- us, never decreasing within an account
  changeset INTEGER NOT NULL,       -- the operation this change is a part of
  kind INTEGER NOT NULL,
  actor TEXT NOT NULL,
  session INTEGER NOT NULL,
  client TEXT NOT NULL,
  key_id INTEGER NOT NULL,
  body BLOB NOT NULL,
  PRIMARY KEY (account, change_no)
) WITHOUT ROWID;

-- changeset: operations that are cut into several transactions and not finished yet.
CREATE TABLE changeset (
  account INTEGER NOT NULL,
  id INTEGER NOT NULL,
  kind INTEGER NOT NULL,
  owner INTEGER NOT NULL,           -- the node that carries it out,
  epoch INTEGER NOT NULL,           -- and which start of it
  steps INTEGER NOT NULL,           -- counts its transactions, so that each of them changes this row
  plan BLOB NOT NULL,               -- what to do, with every name and time already resolved
  progress BLOB NOT NULL,           -- how far it got
  PRIMARY KEY (account, id)
) WITHOUT ROWID;

-- body: where the bytes of a message lie. hash: the first 8 bytes of the SHA-256, as an integer. since: when it came, was last
-- found again by a delivery, or was condemned.
CREATE TABLE body (
  id INTEGER NOT NULL PRIMARY KEY,
  domain INTEGER NOT NULL,
  hash INTEGER NOT NULL,
  sha256 BLOB NOT NULL,
  size INTEGER NOT NULL,
  pack INTEGER NOT NULL,            -- 0: the row of staged with this id
  pack_at INTEGER NOT NULL,         -- where in the pack; the id again
  stored INTEGER NOT NULL,          -- bytes of the record in the pack
  state INTEGER NOT NULL,           -- 0 linked, 1 condemned by purge
  since INTEGER NOT NULL
);
CREATE INDEX body_hash ON body (hash);

-- staged: records of small bodies that are in no pack yet (body.pack = 0), where nothing can be appended to one.
CREATE TABLE staged (
  body INTEGER NOT NULL PRIMARY KEY,
  stamp INTEGER NOT NULL,           -- when it came, us
  stored INTEGER NOT NULL,          -- bytes of the record
  record BLOB NOT NULL
);
CREATE INDEX staged_age ON staged (stamp, body, stored);

-- body_use: which emails hold on to a body.
CREATE TABLE body_use (
  body INTEGER NOT NULL,
  email INTEGER NOT NULL,
  PRIMARY KEY (body, email)
) WITHOUT ROWID;

-- delivery: what was delivered already. hash: 16 bytes over (folder asked for, sender). Found by the content's SHA-256
-- through body, so that keys grow at their end.
CREATE TABLE delivery (
  body INTEGER NOT NULL,
  account INTEGER NOT NULL,
  hash KEYBLOB NOT NULL,
  stamp INTEGER NOT NULL,
  change_no INTEGER NOT NULL,
  PRIMARY KEY (body, account, hash)
) WITHOUT ROWID;

-- position: how far a follower has read an account's journal. dirty: accounts that changed in a 10 s slot.
CREATE TABLE position (
  follower KEYTEXT NOT NULL,
  account INTEGER NOT NULL,
  change_no INTEGER NOT NULL,
  PRIMARY KEY (follower, account)
) WITHOUT ROWID;
CREATE TABLE dirty (
  slot INTEGER NOT NULL,
  account INTEGER NOT NULL,
  PRIMARY KEY (slot, account)
) WITHOUT ROWID;

-- follower: who reads the log. required 1: purge keeps all that it has not read (an account without a position: everything).
-- slot: it has read the slots of dirty below this one.
CREATE TABLE follower (
  name KEYTEXT NOT NULL,
  required INTEGER NOT NULL,
  slot INTEGER NOT NULL,
  PRIMARY KEY (name)
) WITHOUT ROWID;

-- doomed: what purge is to look at. kind 1: an email of this account that lost a version, 2: a condemned body, 3: a pack
-- whose bodies were moved elsewhere. since: when, us.
CREATE TABLE doomed (
  kind INTEGER NOT NULL,
  account INTEGER NOT NULL,         -- 0 for bodies and packs
  id INTEGER NOT NULL,
  since INTEGER NOT NULL,
  PRIMARY KEY (kind, account, id)
) WITHOUT ROWID;

-- purged: how far purge has come with an account: nothing up to change_no is left but what cover needs: changes, as
-- varints, at which somebody saw the account then.
CREATE TABLE purged (
  account INTEGER NOT NULL PRIMARY KEY,
  change_no INTEGER NOT NULL,
  cover BLOB NOT NULL
);

-- node: who writes to this store (nodes.h). epoch: counts its starts; ids are minted from (id, epoch). instance: its data
-- folder. beat moves with every sign of life of the running start (0: it was stopped); with it go its clock, by how much that
-- is ahead of the database's, the time at or before which no transaction of it that still runs gives a stamp, and the time whose
-- retention its sessions may still need.
CREATE TABLE node (
  id INTEGER NOT NULL PRIMARY KEY,
  name KEYTEXT NOT NULL,
  epoch INTEGER NOT NULL,
  instance TEXT NOT NULL,
  beat INTEGER NOT NULL,
  seen INTEGER NOT NULL,
  ahead INTEGER NOT NULL,
  horizon INTEGER NOT NULL,
  needs INTEGER NOT NULL,
  address TEXT NOT NULL,
  version TEXT NOT NULL
);
CREATE UNIQUE INDEX node_name ON node (name);

-- lease: which node does a job that one node does at a time (lease.h). holder 0: none. epoch counts holders; beat moves with
-- every sign of life of the holder.
CREATE TABLE lease (
  name KEYTEXT NOT NULL,
  holder INTEGER NOT NULL,
  epoch INTEGER NOT NULL,
  beat INTEGER NOT NULL,
  PRIMARY KEY (name)
) WITHOUT ROWID;

-- commit_id: by which a transaction is known whose COMMIT was not answered (MariaDB; mariadb_run.h). Ids grow per node. state 0:
-- it was committed, 1: it never will be. stamp: when, us.
CREATE TABLE commit_id (
  id INTEGER NOT NULL PRIMARY KEY,
  state INTEGER NOT NULL,
  stamp INTEGER NOT NULL
);

-- facts: the schema's version and the like.
CREATE TABLE facts (
  name KEYTEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (name)
) WITHOUT ROWID;
