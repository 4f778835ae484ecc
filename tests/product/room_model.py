"""What ought to be true of a live Space, told without the code under test. Person 0 is its host."""

from dataclasses import dataclass, field

RANK = {"LISTENER": 0, "SPEAKER": 1, "COHOST": 2, "HOST": 3}


@dataclass
class Being:
    """One person. `row`: has ever joined or held a role; `entered`: has been in."""

    role: str = "LISTENER"
    row: bool = False
    inside: bool = False
    entered: bool = False
    lapsed: bool = False
    removed: bool = False
    blocked: bool = False
    hand: bool = False
    muted: bool = False
    connected: bool = False
    attended: bool = False
    invited: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """A speaker who went out has given the place away."""
        return self.role != "SPEAKER" or self.inside or not self.entered

    @property
    def publishes(self) -> bool:
        return self.role != "LISTENER"


@dataclass
class RoomModel:
    """Every action answers whether it is allowed; `told` gathers the kinds of its events."""

    people: list[Being]
    cohosts: int
    speakers: int
    followed: set[int]
    policy: str = "RAISED_HAND"
    live: bool = True
    host_lost: bool = False
    peak: int = 2
    told: list[str] = field(default_factory=list)

    @property
    def audience(self) -> int:
        """One without an account all the time, and who is connected without having joined."""
        return 1 + sum(one.connected and not one.row for one in self.people)

    @property
    def present(self) -> int:
        return (sum(one.inside for one in self.people) + self.audience) if self.live else 0

    @property
    def total(self) -> int:
        return 1 + sum(one.entered or one.attended for one in self.people)

    def act(self, action: str, who: int, whom: int, word: str) -> bool:
        """Whether it is allowed; what it changes is changed."""
        me, other = self.people[who], self.people[whom]
        if action in {"silence", "connect", "disconnect", "block", "unblock"}:
            getattr(self, f"_{action}")(whom)
            allowed = True
        else:
            allowed = self.live and not me.blocked and getattr(self, f"_{action}")(who, whom, word)
        for one in self.people:
            one.attended = one.attended or (self.live and one.connected and not one.row)
        self.peak = max(self.peak, self.present)
        assert not allowed or not other.inside or not other.removed
        return allowed

    # --- in and out ---

    def _enter(self, one: Being) -> None:
        taken = self._taken("SPEAKER") - (one.role == "SPEAKER" and one.holds)
        if one.role == "SPEAKER" and one.entered and taken >= self.speakers:
            one.role = "LISTENER"
        one.row = one.inside = one.entered = True
        one.lapsed = False
        if one.role == "HOST":
            self.host_lost = False
        self.told.append("PARTICIPANT_JOINED")

    def _go(self, one: Being, kind: str = "PARTICIPANT_LEFT", *, lapsed: bool = False) -> None:
        role, was_inside = one.role, one.inside
        one.inside = one.hand = False
        one.lapsed = lapsed
        if kind == "PARTICIPANT_REMOVED":
            one.removed, one.role = True, "LISTENER"
        self.told.append(kind)
        if was_inside:
            self._mind(one, role)

    def _mind(self, one: Being, role: str) -> None:
        if role == "HOST" and not one.lapsed:
            self.host_lost = True
        elif role == "COHOST":
            host = self.people[0]
            self.host_lost |= not host.inside and not host.lapsed and not self._stands_in()

    def _stands_in(self) -> bool:
        return any(one.role == "COHOST" and one.inside for one in self.people)

    def _taken(self, role: str) -> int:
        if role == "COHOST":
            return sum(one.role == "COHOST" for one in self.people)
        return sum(one.role == "SPEAKER" and one.holds for one in self.people)

    def _room(self, role: str) -> bool:
        return self._taken(role) < (self.cohosts if role == "COHOST" else self.speakers)

    def _is_here(self, one: Being) -> bool:
        """Who acts and had only fallen silent is in again."""
        return one.inside or one.lapsed

    def _wake(self, one: Being) -> None:
        if not one.inside:
            self._enter(one)

    def _join(self, who: int, _whom: int, _word: str) -> bool:
        me = self.people[who]
        if me.removed:
            return False
        if not me.inside:
            self._enter(me)
        return True

    def _leave(self, who: int, _whom: int, _word: str) -> bool:
        me = self.people[who]
        if me.inside:
            self._go(me)
        elif me.lapsed:
            me.lapsed = False
            self._mind(me, me.role)
        return True

    def _silence(self, _whom: int) -> None:
        for one in self.people:
            if self.live and one.inside and not one.connected:
                self._go(one, lapsed=True)
        if self.live and self.host_lost:
            if not self._stands_in():
                self._finish()
            self.host_lost = False

    def _connect(self, whom: int) -> None:
        one = self.people[whom]
        if one.blocked:
            return
        one.connected = True
        if self.live and one.lapsed:
            self._enter(one)

    def _disconnect(self, whom: int) -> None:
        self.people[whom].connected = False

    # --- roles ---

    def _manages(self, who: int) -> bool:
        me = self.people[who]
        return who == 0 or (me.role == "COHOST" and (me.inside or me.lapsed or not me.entered))

    def _hand(self, who: int, _whom: int, word: str) -> bool:
        me, up = self.people[who], word != "down"
        if not self._is_here(me):
            return False
        role = me.role
        if role == "SPEAKER" and not me.inside and not self._room("SPEAKER"):
            role = "LISTENER"
        if role != "LISTENER" or (up and not self._may_speak(who)):
            return False
        self._wake(me)
        if me.hand != up:
            me.hand = up
            self.told.append("HAND_CHANGED")
        return True

    def _may_speak(self, who: int) -> bool:
        return self.policy == "RAISED_HAND" or (self.policy == "FOLLOWED" and who in self.followed)

    def _can_be_set(self, who: int, whom: int) -> bool:
        other = self.people[whom]
        if not (other.inside or other.role == "COHOST" or (other.role == "SPEAKER" and not other.entered)):
            return False
        return whom != 0 and not (other.role == "COHOST" and who not in {0, whom})

    def _approve(self, who: int, whom: int, _word: str) -> bool:
        other = self.people[whom]
        if not self._manages(who) or not self._can_be_set(who, whom):
            return False
        if other.role == "SPEAKER":
            return True
        if other.role == "COHOST" or not other.hand or not self._may_speak(whom) or not self._room("SPEAKER"):
            return False
        other.role, other.hand = "SPEAKER", False
        self.told.append("ROLE_CHANGED")
        return True

    def _back(self, who: int, whom: int, _word: str) -> bool:
        other = self.people[whom]
        if not self._can_be_set(who, whom) or not (who == whom or self._manages(who)):
            return False
        if other.role != "LISTENER":
            before, other.role, other.hand = other.role, "LISTENER", False
            self.told.append("ROLE_CHANGED")
            if before == "COHOST":
                self._mind(other, before)
        return True

    def _invite(self, who: int, whom: int, word: str) -> bool:
        other = self.people[whom]
        if not self._manages(who) or (who != 0 and word == "COHOST") or whom == 0:
            return False
        if other.blocked or other.removed or (RANK[other.role] >= RANK[word] and other.holds):
            return False
        if not self._room(word):
            return False
        if word not in other.invited:
            other.invited.append(word)
        return True

    def _answer(self, who: int, _whom: int, word: str) -> bool:
        me = self.people[who]
        role = me.invited[-1]
        if word == "no":
            me.invited.pop()
            return True
        if (RANK[me.role] >= RANK[role] and me.holds) or not self._room(role):
            return False
        me.invited.pop()
        me.role, me.hand = role, False
        if me.inside:
            self.told.append("ROLE_CHANGED")
        else:
            self._enter(me)
        return True

    def _mute(self, who: int, whom: int, word: str) -> bool:
        me, other, muted = self.people[who], self.people[whom], word != "off"
        inside = other.inside or (who == whom and other.lapsed)
        may = self._is_here(me) if who == whom else muted and self._manages(who)
        if not may or not inside:
            return False
        gives_way = other.role == "SPEAKER" and not other.inside and not self._room("SPEAKER")
        if not other.publishes or gives_way:
            return False
        if self._is_here(me):
            self._wake(me)
        if other.muted != muted:
            other.muted = muted
            self.told.append("MUTED_CHANGED")
        return True

    def _remove(self, who: int, whom: int, _word: str) -> bool:
        other = self.people[whom]
        if not self._manages(who) or whom in {0, who} or not other.row or other.removed:
            return False
        if other.role == "COHOST" and who != 0:
            return False
        self._go(other, "PARTICIPANT_REMOVED")
        other.invited.clear()
        return True

    # --- the host's word ---

    def _block(self, whom: int) -> None:
        other = self.people[whom]
        if whom == 0 or other.blocked:
            return
        other.blocked, other.connected = True, False
        other.invited.clear()
        self.followed.discard(whom)
        if self.live and other.row and not other.removed:
            self._go(other, "PARTICIPANT_REMOVED")

    def _unblock(self, whom: int) -> None:
        self.people[whom].blocked = False

    def _policy(self, who: int, _whom: int, word: str) -> bool:
        if who == 0 and self.policy != word:
            self.policy = word
            self.told.append("UPDATED")
        return who == 0

    def _end(self, who: int, _whom: int, _word: str) -> bool:
        if who == 0:
            self._finish()
        return who == 0

    def _finish(self) -> None:
        self.live = False
        self.told.append("ENDED")
        for one in self.people:
            one.inside = one.hand = False
            one.invited.clear()
