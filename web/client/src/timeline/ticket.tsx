// Tickets: what one costs, how many are left, and how one gets it. Paying is done at the provider's page.
import type { CardFragment } from "../documents";
import { PurchaseTicketDocument } from "../documents";
import { Icon } from "../parts/icons";
import { attempt, say } from "../parts/said";
import { signInFirst } from "../router";
import { tell } from "../wire/client";
import { me } from "../wire/session";

type Space = Pick<CardFragment["space"], "id" | "host" | "cohosts" | "ticketing" | "viewerTicket">;

/** Decimal places of a currency. */
export const places = (currency: string): number =>
  new Intl.NumberFormat(undefined, { style: "currency", currency }).resolvedOptions().maximumFractionDigits ?? 2;

function price({ amountMinor, currency }: { amountMinor: number; currency: string }): string {
  if (amountMinor === 0) return "free";
  return new Intl.NumberFormat(undefined, { style: "currency", currency }).format(amountMinor / 10 ** places(currency));
}

/** Whether this person must get a ticket before they can hear it. */
export function needsTicket({ host, cohosts, ticketing, viewerTicket }: Space): boolean {
  const helps = [host, ...cohosts].some(({ id }) => id === me.value?.id);
  return ticketing !== null && !helps && viewerTicket?.status !== "ISSUED";
}

interface Offered {
  space: Space;
  /** Called once one has a ticket. */
  done: () => void;
  onColour?: boolean;
}

export function Ticket({ space, done, onColour = false }: Offered) {
  const { ticketing } = space;
  if (ticketing === null) return null;
  if (!needsTicket(space))
    return space.viewerTicket === null ? null : (
      <p class="ticket">
        <Icon name="check" /> You have a ticket
      </p>
    );
  const left = ticketing.capacity - ticketing.sold;
  const buy = () => {
    if (me.value === null) return signInFirst();
    void attempt(async () => {
      const returnUrl = `${location.origin}/spaces/${space.id}`;
      const { checkoutUrl } = await tell(PurchaseTicketDocument, { spaceId: space.id, returnUrl });
      if (checkoutUrl !== null) return location.assign(checkoutUrl);
      say("You have a ticket.");
      done();
    });
  };
  return (
    <div class="ticket">
      <button class={`button ${onColour ? "on-colour" : "primary"}`} disabled={left <= 0} onClick={buy}>
        {left <= 0 ? "Sold out" : `Get a ticket, ${price(ticketing.price)}`}
      </button>
      {left > 0 && <span class={onColour ? "" : "quiet"}>{left.toLocaleString()} left</span>}
    </div>
  );
}
