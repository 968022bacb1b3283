package history

import (
	"time"

	"github.com/keyward/keyward/core/event"
)

func (f *folder) append() Append {
	succeeded := f.lastAppend()
	declines := f.declines(succeeded)
	p := f.parameters
	a := Append{
		Default:                   f.nudge(declines, event.KindDefault, p.Default),
		AfterError:                f.nudge(declines, event.KindAfterError, p.AfterError),
		AfterHybrid:               f.nudge(declines, event.KindAfterHybrid, p.AfterHybrid),
		Auto:                      f.nudge(declines, event.KindAuto, p.Auto),
		ConditionalCreateCooldown: f.conditionalCreateCooldown(succeeded),
		BudgetSpent:               f.budgetSpent(),
	}
	offers := f.of(event.AppendOffered)
	for i, e := range offers {
		f.counts(e)
		if i == len(offers)-1 {
			f.tells(OfferedLast, e, 0)
		}
		if e.CreatedMs > f.now {
			f.asks(f.now + 1)
		}
		a.LastOffer = time.UnixMilli(min(e.CreatedMs, f.now)).UTC()
	}
	return a
}

// lastAppend returns when a passkey was last created for the account, or the beginning of time. That it was deleted later does not bring
// back what it ended.
func (f *folder) lastAppend() int64 {
	created := f.of(event.AppendCompleted)
	if len(created) == 0 {
		return beginning
	}
	return created[len(created)-1].CreatedMs
}

// declines returns the first decline of each offer since the last success, oldest first. An offer that was taken up in the end was not
// declined.
func (f *folder) declines(succeeded int64) []*event.Event {
	created := f.created()
	declines := f.unexpired(f.events.Declines())
	first := firsts(
		declines, f.since(declines, f.parameters.CountWindowSeconds),
		func(e *event.Event) bool { return !e.Unproven() && !created[e.Prompt()] }, offer,
	)
	later := kept(first, func(e *event.Event) bool { return e.CreatedMs > succeeded })
	for _, e := range later {
		f.counts(e)
	}
	return later
}

// offer names what an append event answers: the offer that it was joined to, else its process, which shows one offer at most.
func offer(e *event.Event) string {
	if e.Ceremony == "" && e.Process != "" {
		return "process " + e.Process
	}
	return e.Prompt()
}

func (f *folder) nudge(declines []*event.Event, kind event.Kind, limit Cooldown) Nudge {
	var n Nudge
	var last *event.Event
	counted, paused := declined(kind)
	for _, e := range declines {
		if e.Kind == kind || e.Kind == "" && kind == event.KindDefault {
			n.Declines++
			last = e
			f.tells(counted, e, f.parameters.CountWindowSeconds)
		}
	}
	if n.Declines == 0 || n.Declines < limit.Count {
		return n
	}
	pause := limit.CooldownSeconds
	if last.Type == event.AppendError && f.parameters.CancelCooldownSeconds > 0 {
		pause = f.parameters.CancelCooldownSeconds
	}
	if n.Cooldown = f.younger(last.CreatedMs, pause); n.Cooldown {
		f.tells(paused, last, pause)
	}
	return n
}

// conditionalCreateCooldown reports whether a conditional creation was requested lately and no creation has succeeded since.
func (f *folder) conditionalCreateCooldown(succeeded int64) (cooling bool) {
	offers := f.events.Of(event.AppendOffered)
	offers = f.unexpired(offers[f.since(offers, f.parameters.ConditionalCreate.CooldownSeconds):])
	if len(offers) == 0 {
		return false
	}
	created := f.created()
	for _, e := range offers {
		if e.Kind != event.KindConditionalCreate || e.CreatedMs <= succeeded || created[e.Prompt()] {
			continue
		}
		if f.parameters.ConditionalCreate.PerProcess && e.Process != f.processID {
			continue
		}
		if cooling = true; f.told == nil {
			break
		}
		f.tells(CreatedSilently, e, f.parameters.ConditionalCreate.CooldownSeconds)
	}
	return cooling
}

// budgetSpent reports whether the account has been shown as many offers lately as it may be. Silent creations show nothing.
func (f *folder) budgetSpent() (spent bool) {
	if f.parameters.NudgeBudget == (NudgeBudget{}) {
		return false
	}
	for _, limit := range f.parameters.NudgeBudget.limits() {
		shown := 0
		for _, e := range f.of(event.AppendOffered) {
			if e.Kind != event.KindConditionalCreate && f.younger(e.CreatedMs, limit.seconds) {
				shown++
				f.tells(limit.part, e, limit.seconds)
			}
		}
		spent = spent || shown >= limit.most
	}
	return spent
}
