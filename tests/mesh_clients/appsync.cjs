// aws-appsync 4.1.10, which is compiled into shipped editors: Apollo with a cache, a retry link and sockets of its own.
"use strict";
const { serve, tell } = require(process.env.WIRE);
const { AUTH_TYPE, default: AWSAppSyncClient } = require("aws-appsync");
const gql = require("graphql-tag");

const { ENDPOINT: url, KEY: apiKey } = process.env;
const client = new AWSAppSyncClient({
  url,
  region: "ap-northeast-1",
  auth: { type: AUTH_TYPE.API_KEY, apiKey },
  disableOffline: true,
});

serve(
  async (text, variables) => {
    const document = gql(text);
    try {
      return await (document.definitions[0].operation === "mutation"
        ? client.mutate({ mutation: document, variables })
        : client.query({ query: document, variables, fetchPolicy: "network-only" }));
    } catch (refused) {
      if (!refused.graphQLErrors?.length) throw refused;
      return { data: null, errors: refused.graphQLErrors };
    }
  },
  (text, variables) =>
    client.subscribe({ query: gql(text), variables }).subscribe({
      next: ({ data }) => tell({ heard: data }),
      error: (error) => tell({ failed: `${error?.stack ?? JSON.stringify(error)}` }),
    }),
);
