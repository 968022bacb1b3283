package feed

import (
	"bytes"
	"slices"
	"strings"

	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
)

// parse reads project, user and type from the subject passkey.events.<project>.<user>.<type>. The data is copied: what comes from the
// client shares its memory with headers and more.
func parse(subject string, sequence uint64, data []byte) (Message, bool) {
	rest, ok := strings.CutPrefix(subject, bus.EventsPrefix+".")
	if !ok {
		return Message{}, false
	}
	project, rest, _ := strings.Cut(rest, ".")
	user, kind, ok := strings.Cut(rest, ".")
	if !ok || strings.Contains(kind, ".") {
		return Message{}, false
	}
	return Message{
		Sequence: sequence, Project: ident.ProjectID(project), User: ident.UserID(user), Type: event.Type(kind), Data: bytes.Clone(data),
	}, true
}

// matches reports whether the filter lets m through.
func (f Filter) matches(m *Message) bool {
	if f.User != "" && f.User != m.User {
		return false
	}
	return len(f.Types) == 0 || slices.Contains(f.Types, m.Type)
}

// subject returns the narrowest subject that has all that the filter lets through.
func (f Filter) subject(project ident.ProjectID) string {
	user, kind := "*", "*"
	if f.User != "" {
		user = string(f.User)
	}
	if len(f.Types) == 1 {
		kind = string(f.Types[0])
	}
	return bus.EventsPrefix + "." + string(project) + "." + user + "." + kind
}
