// Package workbench is what operators do with the policy: push revisions, make one live, take it back, and see by which every instance
// answers.
//
// It promises that nothing is kept which a server would refuse, that a revision never changes, and that of two who make revisions live at
// once one is told of the other. It checks bundles by the check that it is given, and touches the store of revisions and nothing else.
package workbench

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/api/operator"
	"github.com/keyward/keyward/core/audit"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/policies"
	"github.com/keyward/keyward/services/decision/admit"
	"github.com/keyward/keyward/services/decision/internal/archive"
	"github.com/keyward/keyward/services/decision/internal/bundlefile"
	"github.com/keyward/keyward/services/decision/internal/control"
	"github.com/keyward/keyward/services/decision/internal/intake"
	"github.com/keyward/keyward/services/decision/internal/release"
	"github.com/keyward/keyward/services/decision/internal/signature"
	"github.com/keyward/keyward/services/decision/internal/tarball"
)

// Config is what operators may do.
type Config struct {
	FourEyes     bool             // whoever has pushed a revision may not make it live
	Signatures   signature.Config // who has to have signed what is pushed
	CheckTimeout time.Duration    // most that the check of a bundle may take
	Version      string           // of the program, which answers for what it has checked
}

// Deps are what a workbench works with. All are required.
type Deps struct {
	JS    jetstream.JetStream
	Check admit.Checker
	Try   admit.Checker // the same, and runs the bundle's scenarios
	Now   func() time.Time
	// Tell is told what an operator did, and does not make anybody wait.
	Tell func(ctx context.Context, by audit.Actor, e audit.Event)
}

// Workbench implements service.Policies.
type Workbench struct {
	cfg      Config
	deps     Deps
	store    *release.Store
	set      *control.Store // lists and switches
	checking chan struct{}  // a check takes a processor and memory: one at a time
}

var _ service.Policies = (*Workbench)(nil)

// New opens the workbench.
func New(ctx context.Context, cfg Config, deps Deps) (*Workbench, error) {
	if deps.JS == nil || deps.Check == nil || deps.Try == nil || deps.Now == nil || deps.Tell == nil {
		return nil, errors.New("workbench: a dependency is missing")
	}
	store, err := release.Open(ctx, deps.JS)
	if err != nil {
		return nil, fmt.Errorf("workbench: %w", err)
	}
	set, err := control.Open(ctx, deps.JS)
	if err != nil {
		return nil, fmt.Errorf("workbench: %w", err)
	}
	return &Workbench{cfg: cfg, deps: deps, store: store, set: set, checking: make(chan struct{}, 1)}, nil
}

// field is the name of the field that holds the files.
const field = "bundle"

// PushPolicy implements service.Policies.
func (w *Workbench) PushPolicy(ctx context.Context, q service.ForOperator[operator.PolicyPushReq]) (operator.PolicyRevision, error) {
	files, err := tarball.Read(q.Body.Bundle)
	if err != nil {
		return operator.PolicyRevision{}, fault.Field(field, "%s", err.Error())
	}
	parent, err := w.parent(ctx, q.Body.Parent)
	if err != nil {
		return operator.PolicyRevision{}, err
	}
	now := w.deps.Now()
	signed, err := w.cfg.Signatures.Verify(files, now)
	if err != nil {
		return operator.PolicyRevision{}, fault.Field(field, "%s", err.Error())
	}
	// What is signed stays as it was signed: what it lacks is added wherever it is to answer.
	if intake.Lacking(files) && files[bundlefile.SignaturesFile] == nil {
		if err := w.fillIn(ctx, files, parent); err != nil {
			return operator.PolicyRevision{}, err
		}
	}
	report, err := w.check(ctx, files, w.deps.Check)
	if err == nil {
		err = refused(report)
	}
	if err != nil {
		return operator.PolicyRevision{}, err
	}
	asked := release.Revision{
		Name: report.Revision, Parent: parent, Author: actor(q.Operator), Message: q.Body.Message, CreatedMs: now.UnixMilli(),
		CheckedBy: w.cfg.Version, Tests: report.Tests, Advice: report.Advice, Signatures: signed,
	}
	if ran := q.Body.Scenarios; ran != nil {
		asked.Scenarios = &release.Scenarios{Passed: int(ran.Passed), Failed: int(ran.Failed)}
	}
	kept, err := w.store.Push(ctx, asked, files)
	if err != nil {
		return operator.PolicyRevision{}, unavailable("stored", err)
	}
	if kept.Author == asked.Author && kept.CreatedMs == asked.CreatedMs {
		w.tell(ctx, q.Operator, audit.Event{Type: audit.PolicyPushed, Release: audited(kept), Reason: kept.Message})
	}
	return shown(kept), nil
}

// parent returns the number of the revision that one is made from: the one that was named, or what is live; 0 = none.
func (w *Workbench) parent(ctx context.Context, named *int32) (int, error) {
	if named == nil {
		latest, err := w.latest(ctx)
		return latest.Revision, err
	}
	switch _, err := w.store.Revision(ctx, int(*named)); {
	case errors.Is(err, release.ErrUnknown):
		return 0, fault.Unknown("parent")
	case err != nil:
		return 0, unavailable("read", err)
	}
	return int(*named), nil
}

// fillIn adds what "opa build" leaves out: a bundle without any schema gets those of its parent, or of the program, and the names of
// authenticators.
func (w *Workbench) fillIn(ctx context.Context, files bundlefile.Files, parent int) error {
	from, err := bundlefile.Read(policies.Bundle)
	if parent != 0 {
		var revision release.Revision
		if revision, err = w.store.Revision(ctx, parent); err == nil {
			from, _, err = w.store.Files(ctx, revision)
		}
	}
	if err != nil {
		return unavailable("read", err)
	}
	intake.FillIn(files, from)
	return nil
}

// check reports what a check finds; what is wrong with the files comes as a fault that names each place.
func (w *Workbench) check(ctx context.Context, files bundlefile.Files, by admit.Checker) (admit.Report, error) {
	packed, err := archive.Pack(files)
	if err == nil {
		packed, err = intake.Open(packed, signature.Config{}, time.Time{}) // verified already
	}
	if err != nil {
		return admit.Report{}, fault.Internal(err)
	}
	ctx, cancel := context.WithTimeout(ctx, w.cfg.CheckTimeout)
	defer cancel()
	select {
	case w.checking <- struct{}{}:
	case <-ctx.Done():
		return admit.Report{}, fault.Unavailable(busy, "another bundle is being checked").Because(ctx.Err())
	}
	defer func() { <-w.checking }()
	report, err := by(ctx, packed)
	if err != nil {
		return admit.Report{}, fault.Unavailable(busy, "the bundle could not be checked").Because(err)
	}
	return report, nil
}

// refused is what whoever pushes is told of a bundle that is refused; nil if it is not.
func refused(report admit.Report) error {
	if len(report.Refused) == 0 {
		return nil
	}
	wrong := make([]fault.FieldError, 0, len(report.Refused))
	for _, one := range report.Refused {
		at := admit.Report{Refused: []admit.Refusal{one}}
		wrong = append(wrong, fault.FieldError{Field: field, Message: at.Err().Error()})
	}
	return fault.Fields(wrong...)
}

// CheckPolicy implements service.Policies.
func (w *Workbench) CheckPolicy(ctx context.Context, q service.ForOperator[operator.PolicyCheckReq]) (operator.PolicyCheck, error) {
	files, err := tarball.Read(q.Body.Bundle)
	if err != nil {
		return operator.PolicyCheck{}, fault.Field(field, "%s", err.Error())
	}
	parent, err := w.parent(ctx, q.Body.Parent)
	if err != nil {
		return operator.PolicyCheck{}, err
	}
	if intake.Lacking(files) {
		if err := w.fillIn(ctx, files, parent); err != nil {
			return operator.PolicyCheck{}, err
		}
	}
	by := w.deps.Check
	if q.Body.Scenarios != nil {
		by = w.deps.Try
		if files, err = withScenarios(files, q.Body.Scenarios); err != nil {
			return operator.PolicyCheck{}, fault.Internal(err)
		}
	}
	report, err := w.check(ctx, files, by)
	if err != nil {
		return operator.PolicyCheck{}, err
	}
	return checked(report), nil
}

const (
	busy       = 5 * time.Second // when to ask again if a check could not be made
	retryAfter = time.Second     // and if the store could not be reached
)

// ListPolicies implements service.Policies.
func (w *Workbench) ListPolicies(ctx context.Context, _ service.ForOperator[service.Empty]) (operator.PolicyRevisionList, error) {
	all, err := w.store.Revisions(ctx)
	if err != nil {
		return operator.PolicyRevisionList{}, unavailable("read", err)
	}
	latest, err := w.latest(ctx)
	if err != nil {
		return operator.PolicyRevisionList{}, err
	}
	list := operator.PolicyRevisionList{
		Revisions: make([]operator.PolicyRevision, 0, len(all)), Live: optional(latest.Revision), FourEyes: w.cfg.FourEyes,
	}
	for _, r := range all {
		list.Revisions = append(list.Revisions, shown(r))
	}
	return list, nil
}

// GetPolicy implements service.Policies.
func (w *Workbench) GetPolicy(ctx context.Context, q service.ForOperator[int]) (operator.PolicyRevision, error) {
	r, err := w.revision(ctx, q.Body)
	if err != nil {
		return operator.PolicyRevision{}, err
	}
	return shown(r), nil
}

// GetPolicyBundle implements service.Policies.
func (w *Workbench) GetPolicyBundle(ctx context.Context, q service.ForOperator[int]) (operator.PolicyBundle, error) {
	r, err := w.revision(ctx, q.Body)
	if err != nil {
		return operator.PolicyBundle{}, err
	}
	return w.packed(ctx, r, func(files bundlefile.Files) bundlefile.Files { return files })
}

// GetShippedPolicy implements service.Policies.
func (w *Workbench) GetShippedPolicy(context.Context, service.ForOperator[service.Empty]) (operator.PolicyShipped, error) {
	files, err := bundlefile.Read(policies.Bundle)
	if err != nil {
		return operator.PolicyShipped{}, fault.Internal(err)
	}
	packed, err := tarball.Write(files)
	if err != nil {
		return operator.PolicyShipped{}, fault.Internal(err)
	}
	return operator.PolicyShipped{Bundle: packed}, nil
}

// GetLivePolicy implements service.Policies.
func (w *Workbench) GetLivePolicy(ctx context.Context, _ service.ForOperator[service.Empty]) (operator.PolicyBundle, error) {
	latest, err := w.latest(ctx)
	if err != nil {
		return operator.PolicyBundle{}, err
	}
	if latest.Number == 0 {
		return operator.PolicyBundle{}, fault.NotFound("no revision was made live yet")
	}
	r, err := w.revision(ctx, latest.Revision)
	if err != nil {
		return operator.PolicyBundle{}, err
	}
	return w.packed(ctx, r, func(files bundlefile.Files) bundlefile.Files { return files.ForOPA(r.Name) })
}

// packed returns a revision with its files as they are to be.
func (w *Workbench) packed(
	ctx context.Context, r release.Revision, as func(bundlefile.Files) bundlefile.Files,
) (operator.PolicyBundle, error) {
	files, _, err := w.store.Files(ctx, r)
	if err != nil {
		return operator.PolicyBundle{}, unavailable("read", err)
	}
	raw, err := tarball.Write(as(files))
	if err != nil {
		return operator.PolicyBundle{}, fault.Internal(err)
	}
	return operator.PolicyBundle{Revision: shown(r), Bundle: raw}, nil
}

func (w *Workbench) revision(ctx context.Context, number int) (release.Revision, error) {
	r, err := w.store.Revision(ctx, number)
	switch {
	case errors.Is(err, release.ErrUnknown):
		return r, fault.NotFound("there is no revision %d", number).Because(err)
	case err != nil:
		return r, unavailable("read", err)
	}
	return r, nil
}

// ListPolicyChanges implements service.Policies.
func (w *Workbench) ListPolicyChanges(ctx context.Context, _ service.ForOperator[service.Empty]) (operator.PolicyChangeList, error) {
	all, err := w.store.Changes(ctx)
	if err != nil {
		return operator.PolicyChangeList{}, unavailable("read", err)
	}
	list := operator.PolicyChangeList{Changes: make([]operator.PolicyChange, 0, len(all))}
	for _, c := range all {
		list.Changes = append(list.Changes, change(c))
	}
	return list, nil
}

// ChangePolicy implements service.Policies.
func (w *Workbench) ChangePolicy(ctx context.Context, q service.ForOperator[operator.PolicyChangeReq]) (operator.PolicyChange, error) {
	all, err := w.store.Changes(ctx)
	if err != nil {
		return operator.PolicyChange{}, unavailable("read", err)
	}
	var latest release.Change
	if len(all) > 0 {
		latest = all[0]
	}
	if q.Body.Expected != nil && int(*q.Body.Expected) != latest.Number {
		return operator.PolicyChange{}, outrun(latest)
	}
	wanted, err := target(q.Body.Revision, release.Stack(all))
	if err != nil {
		return operator.PolicyChange{}, err
	}
	revision, err := w.revision(ctx, wanted.Revision)
	if err != nil {
		return operator.PolicyChange{}, err
	}
	if latest.Revision == revision.Number {
		return change(latest), nil
	}
	if err := w.permit(q.Operator, revision, wanted.Kind); err != nil {
		return operator.PolicyChange{}, err
	}
	wanted = latest.GoLive(revision, wanted.Kind)
	wanted.By, wanted.AtMs = actor(q.Operator), w.deps.Now().UnixMilli()
	if q.Body.Reason != nil {
		wanted.Reason = *q.Body.Reason
	}
	made, err := w.store.Make(ctx, wanted, latest)
	if errors.Is(err, release.ErrConflict) {
		now, err := w.latest(ctx)
		if err != nil {
			return operator.PolicyChange{}, err
		}
		return operator.PolicyChange{}, outrun(now)
	}
	if err != nil {
		return operator.PolicyChange{}, unavailable("stored", err)
	}
	w.tellChange(ctx, q.Operator, made, revision)
	return change(made), nil
}

// target is the change that is asked for: of a number that was live before and was not taken back, a rollback.
func target(named *int32, live []int) (release.Change, error) {
	if named == nil {
		if len(live) < 2 { //nolint:mnd // what is live, and what was before it
			return release.Change{}, fault.NotFound("no revision was live before that could be live again")
		}
		return release.Change{Revision: live[len(live)-2], Kind: release.Rollback}, nil
	}
	wanted := release.Change{Revision: int(*named), Kind: release.Activation}
	if slices.Contains(live[:max(len(live)-1, 0)], wanted.Revision) {
		wanted.Kind = release.Rollback
	}
	return wanted, nil
}

// permit refuses what takes four eyes. Going back to what was live before takes two.
func (w *Workbench) permit(by service.Operator, r release.Revision, kind release.Kind) error {
	if !w.cfg.FourEyes || kind == release.Rollback || r.Author.ID != by.ID {
		return nil
	}
	return &fault.Fault{
		Type: fault.TypeLoginError, Status: http.StatusForbidden,
		Details: fmt.Sprintf("revision %d was pushed by the same operator; with policy_four_eyes another one makes it live", r.Number),
	}
}

// outrun says that another revision was made live meanwhile, by whom.
func outrun(now release.Change) error {
	return fault.Conflict(
		"expected", "revision %d is live since change %d, by %s; look at it, and ask again", now.Revision, now.Number, now.By.Name,
	)
}

// GetPolicyStatus implements service.Policies.
func (w *Workbench) GetPolicyStatus(ctx context.Context, _ service.ForOperator[service.Empty]) (operator.PolicyStatus, error) {
	latest, err := w.latest(ctx)
	if err != nil {
		return operator.PolicyStatus{}, err
	}
	heard, err := w.store.Instances(ctx)
	if err != nil {
		return operator.PolicyStatus{}, unavailable("read", err)
	}
	status := operator.PolicyStatus{Instances: make([]operator.PolicyInstance, 0, len(heard))}
	if latest.Number > 0 {
		live := change(latest)
		status.Live = &live
	}
	for _, i := range heard {
		status.Instances = append(status.Instances, instance(i, latest))
	}
	return status, nil
}

// latest returns the latest change; its number is 0 if there is none.
func (w *Workbench) latest(ctx context.Context) (release.Change, error) {
	latest, err := w.store.Latest(ctx, 0)
	if err != nil && !errors.Is(err, release.ErrNoneLive) {
		return latest, unavailable("read", err)
	}
	return latest, nil
}

// unavailable says that the store cannot be reached; a fault that says more stays.
func unavailable(done string, err error) error {
	var known *fault.Fault
	if errors.As(err, &known) {
		return err
	}
	return fault.Unavailable(retryAfter, "the store of policies could not be %s", done).Because(err)
}
