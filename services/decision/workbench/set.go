package workbench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/keyward/keyward/api/operator"
	"github.com/keyward/keyward/core/audit"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/inquiry"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/internal/control"
	"github.com/keyward/keyward/services/decision/internal/lists"
	"github.com/keyward/keyward/services/decision/internal/release"
)

// ListLists implements service.Policies.
func (w *Workbench) ListLists(ctx context.Context, _ service.ForOperator[service.Empty]) (operator.OperatorListList, error) {
	all, err := w.set.Lists(ctx)
	if err != nil {
		return operator.OperatorListList{}, unavailable("read", err)
	}
	told := operator.OperatorListList{Lists: make([]operator.OperatorList, 0, len(all))}
	for _, l := range all {
		l.History = nil
		told.Lists = append(told.Lists, w.list(l))
	}
	return told, nil
}

// GetList implements service.Policies.
func (w *Workbench) GetList(ctx context.Context, q service.ForOperator[string]) (operator.OperatorList, error) {
	l, err := w.set.List(ctx, q.Body)
	switch {
	case errors.Is(err, control.ErrUnknown):
		return operator.OperatorList{}, noList(q.Body, err)
	case err != nil:
		return operator.OperatorList{}, unavailable("read", err)
	}
	return w.list(l), nil
}

func noList(name string, err error) error {
	return fault.NotFound("nothing was ever added to a list %s", name).Because(err)
}

// ChangeList implements service.Policies.
func (w *Workbench) ChangeList(ctx context.Context, q service.ForOperator[inquiry.ListChange]) (operator.OperatorList, error) {
	name, asked := q.Body.Name, q.Body.Change
	edit := control.Edit{By: actor(q.Operator), AtMs: w.deps.Now().UnixMilli(), Reason: value(asked.Reason)}
	if asked.Kind != nil {
		edit.Kind = lists.Kind(*asked.Kind)
	}
	kind := edit.Kind
	if kind == "" {
		now, err := w.set.List(ctx, name)
		switch {
		case errors.Is(err, control.ErrUnknown):
			return operator.OperatorList{}, noList(name, err)
		case err != nil:
			return operator.OperatorList{}, unavailable("read", err)
		}
		kind = now.Kind
	}
	var err error
	if edit.Add, err = entries(kind, asked.Add, "add"); err != nil {
		return operator.OperatorList{}, err
	}
	if edit.Remove, err = entries(kind, asked.Remove, "remove"); err != nil {
		return operator.OperatorList{}, err
	}
	edit.UntilMs = w.until(asked.Seconds)
	before, after, revision, err := w.set.Edit(ctx, name, edit)
	switch {
	case errors.Is(err, control.ErrKind):
		return operator.OperatorList{}, fault.Field("kind", "the list %s is of %s", name, before.Kind)
	case errors.Is(err, control.ErrFull):
		return operator.OperatorList{}, fault.Field("add", "%s", err.Error())
	case errors.Is(err, control.ErrUnknown):
		return operator.OperatorList{}, noList(name, err)
	case err != nil:
		return operator.OperatorList{}, unavailable("stored", err)
	}
	e := audit.Event{
		Type: audit.ListChanged, List: listAudited(after), Added: edit.Add, Removed: edit.Remove, UntilMs: edit.UntilMs, Reason: edit.Reason,
	}
	if before.Schema != 0 {
		e.ListBefore = listAudited(before)
	}
	w.tell(ctx, q.Operator, e)
	told := w.list(after)
	told.Everywhere = new(w.everywhere(ctx, revision))
	if len(edit.Add) > 0 {
		told.Warning = w.undeclared(ctx, name, after.Kind)
	}
	return told, nil
}

// undeclared says why no rule sees what was added to a list: the bundle by which an instance answers does not declare it, or not of this
// kind. It is nil if all that are heard of do, or do not say.
func (w *Workbench) undeclared(ctx context.Context, name string, kind lists.Kind) *string {
	heard, err := w.store.Instances(ctx)
	if err != nil {
		return nil // that it is stored is what was asked for
	}
	for _, i := range heard {
		is, declared := i.Lists[name]
		switch {
		case i.Lists == nil || is == string(kind):
		case declared:
			return new(fmt.Sprintf("no rule sees it: revision %s of the policy declares the list %s of %s, not of %s", i.Name, name, is, kind))
		default:
			return new(fmt.Sprintf("no rule sees it: revision %s of the policy declares no list %s in data.keyward.lists", i.Name, name))
		}
	}
	return nil
}

// entries reads what is to be added or removed. The error names which of them is wrong.
func entries(kind lists.Kind, given *[]string, field string) ([]string, error) {
	if given == nil {
		return nil, nil
	}
	var read []string
	for n, text := range *given {
		one, err := lists.Entry(kind, text)
		if err != nil {
			return nil, fault.Field(field+indexed(n), "%s", err.Error())
		}
		if !slices.Contains(read, one) {
			read = append(read, one)
		}
	}
	return read, nil
}

// until is when something is over, by the clock here.
func (w *Workbench) until(seconds *int32) int64 {
	if seconds == nil {
		return 0
	}
	return w.deps.Now().Add(time.Duration(*seconds) * time.Second).UnixMilli()
}

// ListSwitches implements service.Policies.
func (w *Workbench) ListSwitches(ctx context.Context, _ service.ForOperator[service.Empty]) (operator.SwitchList, error) {
	all, err := w.set.Switches(ctx)
	if err != nil {
		return operator.SwitchList{}, unavailable("read", err)
	}
	told := operator.SwitchList{Switches: make([]operator.Switch, 0, len(all))}
	for _, s := range all {
		told.Switches = append(told.Switches, w.turned(s))
	}
	return told, nil
}

// TurnSwitch implements service.Policies.
func (w *Workbench) TurnSwitch(ctx context.Context, q service.ForOperator[inquiry.SwitchTurn]) (operator.Switch, error) {
	asked := q.Body.Turn
	to := control.Switch{
		Name: q.Body.Name, On: asked.On, By: actor(q.Operator), AtMs: w.deps.Now().UnixMilli(), Reason: value(asked.Reason),
	}
	if !asked.On && (asked.About != nil || asked.Seconds != nil) {
		return operator.Switch{}, fault.Field("on", "about and seconds go with true")
	}
	if asked.About != nil {
		to.About = about(*asked.About)
	}
	to.UntilMs = w.until(asked.Seconds)
	before, after, revision, err := w.set.Turn(ctx, to)
	switch {
	case errors.Is(err, control.ErrUnknown):
		return operator.Switch{}, fault.NotFound("there is no switch %s", to.Name).Because(err)
	case err != nil:
		return operator.Switch{}, unavailable("stored", err)
	}
	e := audit.Event{Type: audit.SwitchTurned, Switch: switchAudited(after), Reason: to.Reason}
	if before.Schema != 0 {
		e.SwitchBefore = switchAudited(before)
	}
	w.tell(ctx, q.Operator, e)
	told := w.turned(after)
	told.Everywhere = new(w.everywhere(ctx, revision))
	return told, nil
}

const (
	patience  = 2 * time.Second // of whoever changes what instances are to have
	lookEvery = 20 * time.Millisecond
)

// everywhere waits until every instance that was heard of has a revision of the bucket, and reports whether they do in time.
func (w *Workbench) everywhere(ctx context.Context, revision uint64) bool {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		heard, err := w.store.Instances(ctx)
		has := func(i release.Instance) bool { return i.Set < revision }
		if err == nil && len(heard) > 0 && !slices.ContainsFunc(heard, has) {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-look.C:
		}
	}
}
