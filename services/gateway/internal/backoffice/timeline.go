package backoffice

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	api "github.com/keyward/keyward/api/operator"
	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/inquiry"
	"github.com/keyward/keyward/core/service"
)

// Asked is which part of a user's timeline is asked for.
type Asked struct {
	Kinds  []api.TimelineEntryKind // empty = all
	Before Cursor
	Limit  int
}

// Cursor is a place in a timeline: entries after it are older, or of the same moment with a smaller ID. The zero value is the beginning.
type Cursor struct {
	AtMs int64
	ID   string
}

// ReadCursor reads what String wrote. An empty text is the beginning.
func ReadCursor(text string) (Cursor, error) {
	if text == "" {
		return Cursor{}, nil
	}
	at, id, _ := strings.Cut(text, "-")
	ms, err := strconv.ParseInt(at, 10, 64)
	if err != nil || ms <= 0 {
		return Cursor{}, fault.Field("before", "must be the next of an answer")
	}
	return Cursor{AtMs: ms, ID: id}, nil
}

func (c Cursor) String() string { return fmt.Sprintf("%d-%s", c.AtMs, c.ID) }

// passed reports whether an entry comes after the cursor.
func (c Cursor) passed(e *api.TimelineEntry) bool {
	at := e.At.UnixMilli()
	return c.AtMs == 0 || at < c.AtMs || at == c.AtMs && e.ID < c.ID
}

// Sources are what a timeline is put together from.
type Sources struct {
	Events    service.Timelines
	Decisions interface {
		ListDecisions(context.Context, service.ForOperator[service.List]) (api.DecisionList, error)
	}
	Sessions interface {
		ListSessions(context.Context, service.ForProject[service.List]) (rest.SessionList, error)
	}
}

// Timeline merges what the sources tell, the newest first. Of a user there must be events; what else cannot be had is said to lack.
func Timeline(
	ctx context.Context, from Sources, by service.Operator, project ident.ProjectID, user ident.UserID, asked Asked,
) (api.UserTimeline, error) {
	told := api.UserTimeline{Entries: []api.TimelineEntry{}, Lacks: []api.TimelineLack{}}
	wants := func(k api.TimelineEntryKind) bool { return len(asked.Kinds) == 0 || slices.Contains(asked.Kinds, k) }
	take := func(kind api.TimelineEntryKind, entries []api.TimelineEntry, err error) error {
		switch {
		case errors.Is(err, account.ErrUnknown), err != nil && ctx.Err() != nil:
			return err
		case err != nil:
			told.Lacks = append(told.Lacks, api.TimelineLack{Kind: api.TimelineLackKind(kind), Why: fault.Words(err)})
		default:
			told.Entries = append(told.Entries, entries...)
		}
		return nil
	}
	// One more than is asked for tells whether there are more. Events are asked for in any case: they say whether there is such a user.
	events, err := from.Events.ListUserEvents(ctx, service.ForUser[inquiry.Before]{Project: project, User: user, Body: inquiry.Before{
		AtMs: asked.Before.AtMs, ID: asked.Before.ID, Kinds: ofEvents(asked.Kinds), Limit: asked.Limit + 1,
	}})
	if !wants(api.TimelineEntryKindEvent) && !wants(api.TimelineEntryKindAlert) {
		events = nil
	}
	if err := take(api.TimelineEntryKindEvent, events, err); err != nil {
		return told, err
	}
	if wants(api.TimelineEntryKindDecision) {
		entries, err := decisions(ctx, from, by, project, user, asked)
		if err := take(api.TimelineEntryKindDecision, entries, err); err != nil {
			return told, err
		}
	}
	if wants(api.TimelineEntryKindSession) {
		entries, err := sessions(ctx, from, project, user, asked)
		if err := take(api.TimelineEntryKindSession, entries, err); err != nil {
			return told, err
		}
	}
	told.Entries = slices.DeleteFunc(told.Entries, func(e api.TimelineEntry) bool { return !asked.Before.passed(&e) })
	slices.SortStableFunc(told.Entries, func(a, b api.TimelineEntry) int {
		return cmp.Or(cmp.Compare(b.At.UnixMilli(), a.At.UnixMilli()), cmp.Compare(b.ID, a.ID))
	})
	if len(told.Entries) > asked.Limit {
		told.Entries = told.Entries[:asked.Limit]
		last := told.Entries[asked.Limit-1]
		told.Next = new(Cursor{AtMs: last.At.UnixMilli(), ID: last.ID}.String())
	}
	return told, nil
}

// ofEvents are the kinds that the events service knows.
func ofEvents(kinds []api.TimelineEntryKind) []string {
	var named []string
	for _, k := range kinds {
		if k == api.TimelineEntryKindEvent || k == api.TimelineEntryKindAlert {
			named = append(named, string(k))
		}
	}
	return named
}

// margin is how many more entries are asked for than are shown, since lists know moments and no cursors: so many may be of the moment at
// which a page ends.
const margin = 50

// until asks a list for what a page may have of it.
func until(asked Asked, user ident.UserID) service.List {
	list := service.List{Sort: "created:desc", Page: 1, PageSize: asked.Limit + margin, Filter: []string{"userID:eq:" + string(user)}}
	if asked.Before.AtMs > 0 {
		list.Filter = append(list.Filter, "created:lt:"+strconv.FormatInt(asked.Before.AtMs+1, 10))
	}
	return list
}

func decisions(
	ctx context.Context, from Sources, by service.Operator, project ident.ProjectID, user ident.UserID, asked Asked,
) ([]api.TimelineEntry, error) {
	list := until(asked, user)
	list.Filter = append(list.Filter, "projectID:eq:"+string(project))
	found, err := from.Decisions.ListDecisions(ctx, service.ForOperator[service.List]{Operator: by, Body: list})
	if err != nil {
		return nil, err
	}
	entries := make([]api.TimelineEntry, 0, len(found.Decisions))
	for _, d := range found.Decisions {
		entries = append(entries, decision(&d))
	}
	return entries, nil
}

func decision(d *api.DecisionSummary) api.TimelineEntry {
	e := api.TimelineEntry{
		Kind: api.TimelineEntryKindDecision, ID: d.DecisionID, At: d.Created, Type: string(d.Action), Allow: &d.Allow, Tag: word(d.Tag),
		Row: word(d.Rule), ProcessID: d.ProcessID, OS: d.OS, Browser: d.Browser, Route: d.Route, Text: decided(d),
	}
	if d.Reasons != nil {
		e.Reason = word(strings.Join(*d.Reasons, ", "))
	}
	if d.Verdict != nil {
		e.Verdict = word(string(*d.Verdict))
	}
	return e
}

func decided(d *api.DecisionSummary) string {
	words := map[api.DecisionSummaryAction][2]string{
		api.DecisionSummaryActionLogin:     {"Decided to offer a login", "Decided to offer no login"},
		api.DecisionSummaryActionAppend:    {"Decided to offer a passkey", "Decided to offer no passkey"},
		api.DecisionSummaryActionMediation: {"Decided to offer passkeys in autofill", "Decided to offer no passkeys in autofill"},
		api.DecisionSummaryActionRollout:   {"Passkeys are switched on here", "Passkeys are switched off here"},
		api.DecisionSummaryActionRisk:      {"Judged the risk, and let it pass", "Judged the risk, and denied it"},
	}[d.Action]
	if d.Allow {
		return cmp.Or(words[0], "Decided")
	}
	return cmp.Or(words[1], "Decided")
}

func sessions(ctx context.Context, from Sources, project ident.ProjectID, user ident.UserID, asked Asked) ([]api.TimelineEntry, error) {
	found, err := from.Sessions.ListSessions(ctx, service.ForProject[service.List]{Project: project, Body: until(asked, user)})
	if err != nil {
		return nil, err
	}
	entries := make([]api.TimelineEntry, 0, len(found.Sessions))
	for _, s := range found.Sessions {
		entries = append(entries, api.TimelineEntry{
			Kind: api.TimelineEntryKindSession, ID: s.SessionID, At: time.UnixMilli(s.CreatedMs).UTC(), Type: string(s.Status),
			Text: "A session was opened", Until: new(moment(s.ExpiresMs)), Reason: word(s.IdentifierValue),
		})
	}
	return entries, nil
}
