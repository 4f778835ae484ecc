// What a Relay application asks for: a connection, a refetchable fragment, mutations that edit the store, a subscription.
import { graphql } from "relay-runtime";

graphql`
  query appTimelineQuery($count: Int!, $cursor: String) {
    ...appTimeline_query
  }
`;

graphql`
  fragment appTimeline_query on Query @refetchable(queryName: "appTimelinePaginationQuery") {
    timeline(first: $count, after: $cursor) @connection(key: "appTimeline_timeline") {
      edges {
        node {
          id
          recording {
            ...appRecording_recording
          }
        }
      }
    }
  }
`;

graphql`
  fragment appRecording_recording on Recording @refetchable(queryName: "appRecordingRefetchQuery") {
    status
    durationMs
    playback {
      url
    }
  }
`;

graphql`
  mutation appShareMutation($input: ShareRecordingInput!, $connections: [ID!]!) {
    shareRecording(input: $input) {
      item @prependNode(connections: $connections, edgeTypeName: "TimelineEdge") {
        id
        comment
      }
      errors {
        code
        message
      }
    }
  }
`;

graphql`
  mutation appUnshareMutation($input: DeleteShareInput!, $connections: [ID!]!) {
    deleteShare(input: $input) {
      deletedItemId @deleteEdge(connections: $connections)
      errors {
        code
        message
      }
    }
  }
`;

graphql`
  subscription appStatusSubscription($spaceId: ID!, $after: String) {
    recordingStatus(spaceId: $spaceId, after: $after) {
      cursor
      isRecording
      status
      durationMs
    }
  }
`;
