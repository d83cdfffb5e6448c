// aws-amplify 6, which the published example client uses.
"use strict";
const { serve, tell } = require(process.env.WIRE);
const { Amplify } = require("aws-amplify");
const { generateClient } = require("aws-amplify/api");

const { ENDPOINT: endpoint, KEY: apiKey } = process.env;
Amplify.configure({ API: { GraphQL: { endpoint, apiKey, region: "ap-northeast-1", defaultAuthMode: "apiKey" } } });
const client = generateClient();

serve(
  async (query, variables) => {
    try {
      return await client.graphql({ query, variables });
    } catch (refused) {
      if (refused.errors === undefined) throw refused;
      return { data: refused.data ?? null, errors: refused.errors };
    }
  },
  (query, variables) =>
    client.graphql({ query, variables }).subscribe({
      next: ({ data }) => tell({ heard: data }),
      error: (error) => tell({ failed: JSON.stringify(error) }),
    }),
);
