/** What a first visit shows: a query and a subscription that work on a fresh server. */
export const timeline = `# The timeline, with all that a card and its 'Play Recording' button need.
query Timeline {
  timeline(first: 5) {
    edges {
      node {
        kind
        url
        author { name handle }
        space { id title state isRecording }
        recording { status durationMs playback { url expiresAt } }
      }
    }
  }
}
`;

export const recordingStatus = `# The live state of one Space's recording: now, and at every change.
# To ask as somebody, send {"Authorization": "Bearer …"} under Headers.
subscription Recording($spaceId: ID!) {
  recordingStatus(spaceId: $spaceId) {
    at
    isRecording
    status
    durationMs
  }
}
`;

export const recordingStatusVariables = `{ "spaceId": "the id of a Space, from the timeline" }`;
