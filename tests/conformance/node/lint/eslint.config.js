import plugin from "@graphql-eslint/eslint-plugin";

const named = (words) => Object.fromEntries(Object.entries(words).map(([rule, how]) => [`@graphql-eslint/${rule}`, how]));

const languageOptions = {
  parser: plugin.parser,
  parserOptions: { graphQLConfig: { schema: "schema.graphql", documents: "operations/*.graphql" } },
};

export default [
  {
    files: ["schema.graphql"],
    languageOptions,
    plugins: { "@graphql-eslint": plugin },
    rules: {
      ...plugin.configs["flat/schema-recommended"].rules,
      ...plugin.configs["flat/schema-relay"].rules,
      ...named({
        // Pages go forward, by `first` and `after`: no `last`, no `before`.
        "relay-arguments": ["error", { includeBoth: false }],
        // A payload's errors, a recording's gaps and other short lists come whole, and are no connections; and what
        // stands on a timeline page may be a value, not a Node.
        "relay-edge-types": ["error", { withEdgeSuffix: true, shouldImplementNode: false, listTypeCanWrapOnlyEdgeType: false }],
        // What has an identity implements Node; payloads, pages and values have none.
        "strict-id-in-types": "off",
        // Everything has a description, not the roots' fields alone.
        "require-description": ["error", { types: true, rootField: true, FieldDefinition: true, InputValueDefinition: true, EnumValueDefinition: true }],
      }),
    },
  },
  {
    files: ["operations/*.graphql"],
    languageOptions,
    plugins: { "@graphql-eslint": plugin },
    rules: plugin.configs["flat/operations-recommended"].rules,
  },
];
