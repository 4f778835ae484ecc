// `node server.mjs PORT`: graphql-ws with one published event for every subscriber; POST /shout publishes its body.
import { createServer } from 'node:http';
import { GraphQLID, GraphQLInt, GraphQLNonNull, GraphQLObjectType, GraphQLSchema, GraphQLString } from 'graphql';
import { useServer } from 'graphql-ws/use/ws';
import { WebSocketServer } from 'ws';

const waiting = new Set();
let published = { cursor: 'e', at: new Date(), kind: 'SNAPSHOT', space: {} };

async function* updates() {
  yield published;
  for (;;) yield await new Promise((resolve) => waiting.add(resolve));
}

const text = { type: new GraphQLNonNull(GraphQLString) };
const Space = new GraphQLObjectType({
  name: 'Space',
  fields: {
    id: { type: new GraphQLNonNull(GraphQLID) },
    title: text,
    state: text,
    participantCount: { type: new GraphQLNonNull(GraphQLInt) },
  },
});
const SpaceEvent = new GraphQLObjectType({
  name: 'SpaceEvent',
  fields: { cursor: text, at: text, kind: text, space: { type: new GraphQLNonNull(Space) } },
});
const schema = new GraphQLSchema({
  query: new GraphQLObjectType({ name: 'Query', fields: { hello: text } }),
  subscription: new GraphQLObjectType({
    name: 'Subscription',
    fields: {
      spaceUpdates: {
        type: new GraphQLNonNull(SpaceEvent),
        args: { spaceId: { type: new GraphQLNonNull(GraphQLID) } },
        subscribe: updates,
        resolve: (event) => event,
      },
    },
  }),
});

const server = createServer((request, response) => {
  const parts = [];
  request.on('data', (part) => parts.push(part));
  request.on('end', () => {
    published = JSON.parse(Buffer.concat(parts).toString());
    const all = [...waiting];
    waiting.clear();
    for (const resolve of all) resolve(published);
    response.writeHead(204).end();
  });
});
useServer({ schema }, new WebSocketServer({ server, path: '/graphql' }));
server.listen(Number(process.argv[2]), '127.0.0.1');
