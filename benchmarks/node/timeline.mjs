// The timeline in Mercurius with graphql-jit and its loaders, on the rows that Spaces wrote.
// node timeline.mjs PORT DATABASE KEY-FILE; DATABASE is a SQLite file or a postgres:// address.
import { createHash, createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import Fastify from "fastify";
import mercurius from "mercurius";

const [port, database, keyFile] = process.argv.slice(2);
const key = readFileSync(keyFile);
const base = "http://127.0.0.1:8000";
const isPostgres = database.startsWith("postgres");

async function open() {
  if (isPostgres) {
    const { default: pg } = await import("pg");
    pg.types.setTypeParser(20, Number);
    const pool = new pg.Pool({ connectionString: database.replace(/^\w+:/, "postgres:"), max: 4 });
    return async (name, text, values) => (await pool.query({ name, text, values })).rows;
  }
  const { default: Database } = await import("better-sqlite3");
  const file = new Database(database);
  const known = new Map();
  return async (name, text, values) => {
    // The same text for both: $1 becomes ?1, and lists are JSON.
    if (!known.has(name)) known.set(name, file.prepare(text.replaceAll("$", "?").replace(
      /= ANY\(\?(\d)::uuid\[\]\)/g, "IN (SELECT value FROM json_each(?$1))")));
    const bound = values.map((one, at) => [at + 1, Array.isArray(one) ? JSON.stringify(one) : one]);
    return known.get(name).all(Object.fromEntries(bound));
  };
}

const ask = await open();
const HIDDEN = `SELECT blocked_id AS id FROM block WHERE blocker_id = $1
  UNION SELECT blocker_id AS id FROM block WHERE blocked_id = $1`;
const AUTHORS = `SELECT followee_id AS author_id FROM follow WHERE follower_id = $1
  UNION SELECT id AS author_id FROM account WHERE id = $1`;
const PAGE = `SELECT id, kind, author_id, space_id, comment, start_ms, created_at, activity_at FROM timeline_item
  WHERE author_id IN (${AUTHORS}) AND author_id NOT IN (${HIDDEN}) AND host_id NOT IN (${HIDDEN})
  ORDER BY activity_at DESC, id DESC LIMIT $2`;

const schema = `
  type Link { url: String! mimeType: String! expiresAt: String! }
  type User { id: ID! handle: String! name: String! avatarUrl: String }
  type Space { id: ID! title: String! state: String! startedAt: String endedAt: String
    participantCount: Int! totalListenerCount: Int! host: User! }
  type Recording { id: ID! status: String! durationMs: Int! expiresAt: String startOffsetMs: Int!
    playCount: Int! viewerCanPlay: Boolean! playback: Link }
  type TimelineItem { id: ID! kind: String! createdAt: String! activityAt: String! comment: String startMs: Int!
    url: String! viewerCanDelete: Boolean! author: User! space: Space! recording: Recording }
  type Edge { node: TimelineItem! }
  type PageInfo { hasNextPage: Boolean! endCursor: String }
  type Connection { edges: [Edge!]! pageInfo: PageInfo! }
  type Query { timeline(first: Int = 20): Connection! }`;

const packed = (text) => Buffer.from(text).toString("base64url");
const time = (ms) => (ms === null ? null : new Date(ms).toISOString());
const bytesOf = (id) => Buffer.from(id.replaceAll("-", ""), "hex");
const statusAt = (row, now) =>
  row.status !== "AVAILABLE" ? row.status
    : row.expires_at !== null && row.expires_at <= now ? "EXPIRED" : row.lost_at !== null ? "FAILED" : row.status;
const shares = new Set(["SPACE_SHARED", "RECORDING_SHARED", "CLIP_SHARED"]);

function signed(row, { now, viewer }) {
  const expires = now + row.duration_ms + 3_600_000;
  const body = Buffer.alloc(41);
  body[0] = 1;
  bytesOf(row.id).copy(body, 1);
  bytesOf(viewer.id).copy(body, 17);
  body.writeBigUInt64BE(BigInt(expires), 33);
  const mac = createHmac("sha256", key).update("spaces link\0").update(body).digest().subarray(0, 16);
  const token = Buffer.concat([body, mac]).toString("base64url");
  return { url: `${base}/media/recordings/${token}/index.m3u8`, mimeType: "application/vnd.apple.mpegurl",
    expiresAt: time(expires) };
}

async function visible(name, columns, table, owner, column, keys, { viewer }) {
  const found = await ask(name, `SELECT ${columns} FROM ${table} WHERE ${column} = ANY($1::uuid[])
    AND ${owner} NOT IN (${HIDDEN.replaceAll("$1", "$2")})`, [[...new Set(keys)], viewer.id]);
  return new Map(found.map((row) => [row[column], row]));
}

const PERSON = "id, handle, name, avatar_digest, deleted_at";
const people = (column) => async (queries, { reply: { request } }) => {
  const keys = queries.map(({ obj }) => obj[column]);
  const rows = await visible(`people`, PERSON, "account", "id", "id", keys, request.asked);
  return keys.map((one) => rows.get(one));
};
const loaders = {
  TimelineItem: {
    author: people("author_id"),
    async space(queries, { reply: { request } }) {
      const columns = "id, title, state, started_at, ended_at, participant_count, total_listener_count, host_id";
      const keys = queries.map(({ obj }) => obj.space_id);
      const rows = await visible("spaces", columns, "space", "host_id", "id", keys, request.asked);
      return keys.map((one) => rows.get(one));
    },
    async recording(queries, { reply: { request } }) {
      const columns = "id, space_id, status, duration_ms, expires_at, start_offset_ms, play_count, is_ticketed, lost_at";
      const keys = queries.map(({ obj }) => obj.space_id);
      const rows = await visible("recordings", columns, "recording", "host_id", "space_id", keys, request.asked);
      return keys.map((one) => rows.get(one) ?? null);
    },
  },
  Space: { host: people("host_id") },
};
const resolvers = {
  Query: {
    async timeline(_, { first }, { asked }) {
      const rows = await ask("page", PAGE, [asked.viewer.id, first + 1]);
      const shown = rows.slice(0, first), last = shown.at(-1);
      return {
        edges: shown.map((node) => ({ node })),
        pageInfo: {
          hasNextPage: rows.length > first,
          endCursor: packed(JSON.stringify(["timeline_item", last.activity_at, last.id])),
        },
      };
    },
  },
  TimelineItem: {
    id: (row) => packed(`TimelineItem:${row.id}`),
    createdAt: (row) => time(row.created_at),
    activityAt: (row) => time(row.activity_at),
    startMs: (row) => row.start_ms,
    url: (row) => `${base}/cards/${row.id}`,
    viewerCanDelete: (row, _, { asked }) => row.author_id === asked.viewer.id && shares.has(row.kind),
  },
  User: {
    id: (row) => packed(`User:${row.id}`),
    handle: (row) => (row.deleted_at === null ? row.handle : "deleted"),
    name: (row) => (row.deleted_at === null ? row.name : "Deleted account"),
    avatarUrl: (row) => row.avatar_digest === null || row.deleted_at !== null ? null
      : `${base}/avatars/${row.id}/${row.avatar_digest.slice(0, 16)}.jpg`,
  },
  Space: {
    id: (row) => packed(`Space:${row.id}`),
    startedAt: (row) => time(row.started_at),
    endedAt: (row) => time(row.ended_at),
    participantCount: (row) => row.participant_count,
    totalListenerCount: (row) => row.total_listener_count,
  },
  Recording: {
    id: (row) => packed(`Recording:${row.id}`),
    status: (row, _, { asked }) => statusAt(row, asked.now),
    durationMs: (row) => row.duration_ms,
    expiresAt: (row) => time(row.expires_at),
    startOffsetMs: (row) => row.start_offset_ms,
    playCount: (row) => row.play_count,
    viewerCanPlay: (row, _, { asked }) => statusAt(row, asked.now) === "AVAILABLE",
    playback: (row, _, { asked }) => (statusAt(row, asked.now) === "AVAILABLE" ? signed(row, asked) : null),
  },
};

const app = Fastify();
app.addHook("preHandler", async (request) => {
  const token = request.headers.authorization.slice(7);
  const [viewer] = await ask("session", `SELECT a.* FROM session s JOIN account a ON a.id = s.account_id
    WHERE s.token_hash = $1`, [createHash("sha256").update(token).digest("hex")]);
  request.asked = { viewer, now: Date.now() };
});
app.register(mercurius, { schema, resolvers, loaders, jit: 1, context: (request) => ({ asked: request.asked }) });
await app.listen({ port: Number(port), host: "127.0.0.1" });
