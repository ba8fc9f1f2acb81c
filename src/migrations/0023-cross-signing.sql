-- The keys by which users vouch for their devices and for one another, what they have signed, and one-time keys in the order of their upload.

-- The latest cross-signing keys of each user, as they were uploaded. Shrinks: with the account.
CREATE TABLE cross_signing_keys (
  user_num BIGINT NOT NULL,
  usage TEXT NOT NULL, -- master, self_signing or user_signing
  public_key TEXT NOT NULL, -- what stands behind `ed25519:` in the id of the key
  json TEXT NOT NULL, -- canonical
  replaceable_until_ts BIGINT, -- of a master key: until when an administrator lets it be replaced without confirming
  PRIMARY KEY (user_num, usage)
) /*sqlite:WITHOUT ROWID*/;

-- Signatures that came after the key which they sign: of devices by their user's self-signing key, of a master key by a device of its
-- user or by another's user-signing key. Shrinks: with the key that signed, and the one that was signed.
CREATE TABLE key_signatures (
  target_num BIGINT NOT NULL,
  signer_num BIGINT NOT NULL,
  target_key TEXT NOT NULL, -- the id of the device, or the public master key
  key_id TEXT NOT NULL, -- of the key that signed
  signature TEXT NOT NULL,
  PRIMARY KEY (target_num, signer_num, target_key, key_id)
) /*sqlite:WITHOUT ROWID*/;
CREATE INDEX key_signatures_by_signer ON key_signatures (signer_num, target_num);

-- Keys that each begin one conversation, by a number that grows with each key that is uploaded: the stream `one_time_keys`. Claims move the
-- stream as well. Shrinks: with each claim, and with the device.
CREATE TABLE ordered_one_time_keys (
  upload_order BIGINT PRIMARY KEY,
  user_num BIGINT NOT NULL,
  device_id TEXT NOT NULL,
  algorithm TEXT NOT NULL,
  key_id TEXT NOT NULL,
  json TEXT NOT NULL -- canonical
);
INSERT INTO ordered_one_time_keys (upload_order, user_num, device_id, algorithm, key_id, json)
  SELECT ROW_NUMBER() OVER (ORDER BY uploaded_ts, user_num, device_id, algorithm, key_id), user_num, device_id, algorithm, key_id, json
  FROM one_time_keys;
DROP TABLE one_time_keys;
ALTER TABLE ordered_one_time_keys RENAME TO one_time_keys;
CREATE INDEX one_time_keys_by_device ON one_time_keys (user_num, device_id, algorithm, upload_order);
INSERT INTO stream_positions (stream, writer, position) SELECT 'one_time_keys', 'master', COUNT(*) FROM one_time_keys;
