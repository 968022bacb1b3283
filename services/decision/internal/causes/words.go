package causes

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/history"
	"github.com/keyward/keyward/services/decision/internal/facts"
)

// Section is one part of what was found, in words.
type Section struct {
	Heading string
	Items   []Item
}

// Item is one thing, with the events behind it.
type Item struct {
	Text   string
	Events []string
	Of     []Event // that are told one by one, the newest first; of what worked, with neither type nor ceremony

	told  []string // the events in plain words
	plain string   // the text without IDs; empty = it has none
}

// Plain leaves out what only programs and operators have use for: words of the wire, names of rows, IDs of events.
func (s Section) Plain() Section {
	plain := Section{Heading: behind.ReplaceAllString(s.Heading, ""), Items: slices.Clone(s.Items)}
	for n := range plain.Items {
		item := &plain.Items[n]
		item.Text = behind.ReplaceAllString(cmp.Or(item.plain, item.Text), "")
		if item.told != nil {
			item.Events = item.told
		}
	}
	return plain
}

// behind is what stands in brackets at the end.
var behind = regexp.MustCompile(` \[[^\[\]]*\]$`)

// Sections puts into words what was found; nothing if nothing was. A section that has nothing to say is left out.
func (f *Found) Sections() []Section {
	if f == nil {
		return nil
	}
	all := make([]Section, 4)
	if f.NextEligibleAt != nil {
		all[0].Heading = fmt.Sprintf("Refused for this reason until %s [%s]", ending(*f.NextEligibleAt), f.Reason)
	}
	all[1].Heading = "What worked here"
	for i := range f.Worked {
		w := &f.Worked[i]
		item := Item{Text: w.String(), plain: w.of(w.name())}
		if w.Event != "" {
			item.Of = []Event{{ID: w.Event, At: w.At, Route: w.Route, Credential: w.Credential}}
		}
		all[1].Items = append(all[1].Items, item)
	}
	all[2].Heading = "What was counted"
	for i := range f.Counted {
		c := &f.Counted[i]
		item := Item{Text: c.String(), Of: c.Events}
		for n := range c.Events {
			item.Events = append(item.Events, c.Events[n].String())
			item.told = append(item.told, c.Events[n].plain())
		}
		if more := c.Number - len(c.Events); more > 0 {
			older := fmt.Sprintf("and %d older", more)
			item.Events, item.told = append(item.Events, older), append(item.told, older)
		}
		all[2].Items = append(all[2].Items, item)
	}
	all[3].Heading = "What would change the answer"
	for i := range f.Changes {
		all[3].Items = append(all[3].Items, Item{Text: f.Changes[i].String()})
	}
	for n := 3; n >= 0; n-- {
		if len(all[n].Items) == 0 && (n > 0 || all[0].Heading == "") {
			all = append(all[:n], all[n+1:]...)
		}
	}
	return all
}

// String says what was counted, of how many, within what time and until when it decides.
func (c *Count) String() string {
	said := counted(c.Of) + ": " + strconv.Itoa(c.Number)
	if c.Threshold > 0 {
		said += " (" + strconv.Itoa(c.Threshold) + " decide)"
	}
	if c.WindowSeconds > 0 {
		said += " within " + span(c.WindowSeconds)
	}
	if c.Until != nil {
		said += ", until " + ending(*c.Until)
	}
	return said
}

// ending is when something ends, in whole seconds, rounded up as on the wire: it is over then.
func ending(at time.Time) string {
	if whole := at.Truncate(time.Second); !whole.Equal(at) {
		at = whole.Add(time.Second)
	}
	return at.Format(time.RFC3339)
}

func counted(part history.Part) string {
	switch part {
	case history.FailedLocal:
		return "Failures with this device"
	case history.FailedCDA:
		return "Failures with another device"
	case history.FailedSecurityKey:
		return "Failures with a security key"
	case history.SaidNone:
		return "The client's word that it holds no passkey"
	case history.LoginBarred:
		return "Logins barred"
	case history.AppendAfterHybridBarred:
		return "Offers after another device barred"
	case history.AppendAfterErrorBarred:
		return "Offers after a failed login barred"
	case history.DeclinedDefault:
		return "Declined offers"
	case history.DeclinedAfterError:
		return "Declined offers after a failed login"
	case history.DeclinedAfterHybrid:
		return "Declined offers after another device"
	case history.DeclinedAuto:
		return "Declined dialogs that opened by themselves"
	case history.PausedDefault:
		return "Pause of offers"
	case history.PausedAfterError:
		return "Pause of offers after a failed login"
	case history.PausedAfterHybrid:
		return "Pause of offers after another device"
	case history.PausedAuto:
		return "Pause of dialogs that open by themselves"
	case history.CreatedSilently:
		return "Pause of silent creations"
	case history.ShownInDay, history.ShownInMonth, history.ShownInYear:
		return "Offers shown"
	case history.OfferedLast:
		return "Last offer"
	default:
		return "Doubts about the user"
	}
}

// String says what one event was: its type, when, on which route and in which ceremony.
func (e *Event) String() string {
	said := []string{e.At.Format(time.RFC3339), string(e.ID), string(e.Type)}
	if e.Route != "" {
		said = append(said, "route "+string(e.Route))
	}
	if e.Ceremony != "" {
		said = append(said, "ceremony "+e.Ceremony)
	}
	if e.Credential != "" {
		said = append(said, "passkey "+string(e.Credential))
	}
	return strings.Join(said, "  ")
}

// plain says what one event was to its user.
func (e *Event) plain() string {
	at := e.At.Format(time.RFC3339) + "  "
	switch e.Type {
	case event.LoginError:
		return at + "a login failed"
	case event.LoginExplicitAbort:
		return at + "the user broke off a login"
	case event.LoginNoCredentials:
		return at + "the client said that it has no passkey"
	case event.AppendExplicitAbort:
		return at + "the user turned down an offer"
	case event.AppendError:
		return at + "a creation failed"
	case event.AppendOffered:
		return at + "a passkey was offered"
	default:
		return at + strings.ReplaceAll(string(e.Type), "-", " ")
	}
}

// String says which passkey worked or is here, by which route and when, and what that was for the answer.
func (w *Win) String() string { return w.of(w.name() + " (" + string(w.Credential) + ")") }

// name is what holds the passkey.
func (w *Win) name() string { return cmp.Or(w.Provider, w.kind, "a passkey") }

// of says it of a passkey of the name.
func (w *Win) of(name string) string {
	how := "worked"
	switch w.How {
	case history.Made:
		how = "was created"
	case history.SaidToExist:
		how = "is here, as the client said"
	}
	said := fmt.Sprintf("%s %s, %s, %s", name, how, onRoute(w.Route), w.At.Format(time.RFC3339))
	switch {
	case w.Used:
		return said + ": the answer rests on it"
	case w.PassedOver != "":
		return said + ": passed over" + since(w.why) + " [" + w.PassedOver + "]"
	default:
		return said
	}
}

func since(why string) string {
	if why == "" {
		return ""
	}
	return " since " + why
}

func onRoute(route event.Route) string {
	switch route {
	case event.CDA:
		return "by another device"
	case event.SecurityKey:
		return "by security key"
	default:
		return "on this device"
	}
}

// String says what would differ, and what the answer would be then.
func (c *Change) String() string {
	var said string
	switch c.Of {
	case Strategy:
		said = "with strategy " + c.To
	case Time:
		said = "from " + c.To + " on"
	case Manager:
		said = "if a password manager were seen"
	case Bluetooth:
		said = "if Bluetooth were on"
	default:
		said = "with " + c.To
	}
	switch {
	case c.Allow:
		return fmt.Sprintf("%s: allowed [row %s, tag %s]", said, c.Row, c.Tag)
	case c.Reason != "":
		return fmt.Sprintf("%s: not allowed, for another reason [%s, row %s, tag %s]", said, c.Reason, c.Row, c.Tag)
	}
	return fmt.Sprintf("%s: not allowed [row %s, tag %s]", said, c.Row, c.Tag)
}

// span is a number of seconds in the largest unit that has no remainder.
func span(seconds int64) string {
	const minute, hour, day = 60, 60 * 60, 24 * 60 * 60
	switch {
	case seconds%day == 0:
		return strconv.FormatInt(seconds/day, 10) + " d"
	case seconds%hour == 0:
		return strconv.FormatInt(seconds/hour, 10) + " h"
	case seconds%minute == 0:
		return strconv.FormatInt(seconds/minute, 10) + " min"
	}
	return strconv.FormatInt(seconds, 10) + " s"
}

// ClassWords say of whose kind a passkey of a class is: "a passkey of Apple's".
func ClassWords(c facts.Class) string {
	switch c {
	case facts.ClassSecurityKey:
		return "a security key"
	case facts.ClassApple:
		return "a passkey of Apple's"
	case facts.ClassGoogle:
		return "a passkey of Google's"
	case facts.ClassWindowsHello:
		return "a passkey of one Windows device"
	case facts.ClassBrowserProfile:
		return "a passkey of one browser profile"
	case facts.ClassSamsung:
		return "a passkey of Samsung's"
	case facts.ClassPasswordManager:
		return "a passkey of a password manager"
	case facts.ClassPhoneBound:
		return "a passkey of one phone"
	default:
		return "a passkey of an unknown provider"
	}
}
