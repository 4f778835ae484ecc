import { Empty } from "../parts/states";
import { me } from "../wire/session";

/** What others than moderators see here. */
export const Closed = () => (
  <Empty icon="shield" title="For moderators">
    {me.value === null ? (
      <a class="button primary" href="/sign-in?to=/moderation">
        Sign in
      </a>
    ) : (
      <p>Ask who runs this server.</p>
    )}
  </Empty>
);
