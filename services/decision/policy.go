package decision

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/keyward/keyward/core/audit"
	"github.com/keyward/keyward/policies"
	"github.com/keyward/keyward/services/decision/internal/archive"
	"github.com/keyward/keyward/services/decision/internal/bundle"
	"github.com/keyward/keyward/services/decision/internal/bundlefile"
	"github.com/keyward/keyward/services/decision/internal/course"
	"github.com/keyward/keyward/services/decision/internal/download"
	"github.com/keyward/keyward/services/decision/internal/engine"
	"github.com/keyward/keyward/services/decision/internal/intake"
	"github.com/keyward/keyward/services/decision/internal/signature"
)

// refusal is why something is of no use.
type refusal struct {
	err     error
	at      time.Time
	content string // a hash of the files; empty if they could not be read
}

// passing reports whether the same files may be found good another time: the check did not get through, or could not be
// made, or other keys may vouch for them.
func (r *refusal) passing() bool {
	place := (*bundle.Error)(nil)
	return r.content != "" &&
		(!errors.As(r.err, &place) || errors.Is(r.err, bundle.ErrExhausted) || errors.Is(r.err, signature.ErrRefused))
}

// PolicyStatus tells which policy answers, and whether a newer one was refused.
type PolicyStatus struct {
	Revision  string // as decisions name it: of the bundle's manifest, otherwise the same as Content
	Content   string // a hash of the bundle's files
	LoadedAt  time.Time
	Refused   error     // why the files as they are now were refused, with file and line; nil if they are what answers
	RefusedAt time.Time // zero if Refused is nil
	RefusedOf string    // a hash of the files that were refused; empty if Refused is nil or they could not be read
	Again     bool      // that they are tried again as they are: their check did not get through
	Behind    error     // that the files are not, or not yet, what answers, though they were not refused; nil if they are
	Failed    error     // the last answer of this revision that was of no use; nil if there was none
	Lapsed    bool      // that it has been behind for too long, so that the safe defaults answer
}

// errBehind says that a change of the files has not been taken up.
var errBehind = errors.New("the files have changed and are not what answers")

// Status returns the state of the policy, held against the files as they are now. A service that New returned always has a policy that
// answers.
func (s *Service) Status() PolicyStatus {
	active := s.active.Load()
	status := PolicyStatus{Revision: active.Revision(), Content: active.Hash(), LoadedAt: active.Loaded, Failed: active.Failed()}
	if s.upstream != nil {
		status.Lapsed = s.upstream.Lapsed(s.deps.Now())
	}
	if refused := s.refused.Load(); refused != nil {
		status.Refused, status.RefusedAt, status.RefusedOf, status.Again = refused.err, refused.at, refused.content, refused.passing()
		return status
	}
	if s.cfg.PoliciesDir == "" {
		if s.upstream != nil {
			status.Behind = s.upstream.Behind()
		}
		return status
	}
	switch hash, err := bundlefile.Hash(s.source); {
	case err != nil:
		status.Behind = err
	case hash != active.Hash():
		status.Behind = errBehind
	}
	return status
}

// begin finds the first policy to answer.
func (s *Service) begin(ctx context.Context) error {
	if s.upstream != nil {
		return s.beginUpstream(ctx)
	}
	return s.beginWithFiles(ctx)
}

func (s *Service) beginWithFiles(ctx context.Context) error {
	s.loading.Lock()
	defer s.loading.Unlock()
	loaded, err := s.loadFrom(ctx, s.source, s.deps.Now())
	if err == nil {
		s.activate(ctx, loaded)
		return nil
	}
	if s.cfg.PoliciesDir == "" {
		return err
	}
	return s.goOn(ctx, err)
}

// goOn has the revision answer that answered last, where what should is refused.
func (s *Service) goOn(ctx context.Context, refused error) error {
	kept, err := s.lastGood(ctx)
	if err != nil {
		return errors.Join(refused, fmt.Errorf("the revision that answered last: %w", err))
	}
	s.activate(ctx, kept)
	if !errors.Is(refused, download.ErrAway) { // which says nothing of a policy, and is told otherwise
		s.refuse(ctx, refused)
	}
	return nil
}

// archiveTimeout is how long a start waits for the archive.
const archiveTimeout = 20 * time.Second

// lastGood loads the revision that answered last.
func (s *Service) lastGood(ctx context.Context) (*course.Policy, error) {
	limited, cancel := context.WithTimeout(ctx, archiveTimeout)
	defer cancel()
	files, err := archive.Latest(limited, s.deps.JS)
	if err != nil {
		return nil, err
	}
	seen := s.seen
	defer func() { s.seen = seen }()
	return s.loadFrom(ctx, files, time.Time{}) // a key that was retired since has signed what answered
}

// loadFrom reads files as of a moment, has them checked and makes of them what answers.
func (s *Service) loadFrom(ctx context.Context, source fs.FS, at time.Time) (*course.Policy, error) {
	s.seen = ""
	files, err := bundlefile.Read(source)
	if err != nil {
		return nil, err
	}
	// They are not looked at again until they change, or the watch gives them another try.
	s.seen = files.Hash()
	packed, err := archive.Pack(files)
	if err != nil {
		return nil, err
	}
	if source == policies.Bundle { // nobody signs the files of the binary, and they were checked when it was built
		return s.make(ctx, packed, true)
	}
	return s.load(ctx, packed, at, s.cfg.PoliciesDir == "")
}

// load makes of packed files, which were pushed at a moment, what answers, if they are signed as they must be.
func (s *Service) load(ctx context.Context, packed []byte, pushed time.Time, admitted bool) (*course.Policy, error) {
	opened, err := intake.Open(packed, s.cfg.Signatures, pushed)
	if err != nil {
		return nil, err
	}
	return s.make(ctx, opened, admitted)
}

// make has packed files checked, unless they were, and makes of them what answers.
func (s *Service) make(ctx context.Context, packed []byte, admitted bool) (*course.Policy, error) {
	limited, cancel := context.WithTimeout(ctx, s.cfg.CheckTimeout)
	defer cancel()
	if !admitted && s.deps.Admit != nil {
		if err := s.deps.Admit(limited, packed); err != nil {
			return nil, err
		}
		admitted = true
	}
	// What was checked is what is loaded, whatever became of the files since.
	unpacked, err := archive.Unpack(packed)
	if err != nil {
		return nil, err
	}
	loaded, err := engine.Load(limited, unpacked, engine.Options{
		EvalTimeout: s.cfg.EvalTimeout, MemoEntries: s.cfg.MemoEntries, Admitted: admitted, Evicted: s.metrics.MemoEvictions.Inc,
	})
	if err != nil {
		return nil, err
	}
	return course.NewPolicy(loaded, 0, s.deps.Now()), nil
}

func (s *Service) activate(ctx context.Context, p *course.Policy) {
	s.outside.Want(ctx, p.Lists().FileNames())
	s.want(p)
	replaced := s.active.Swap(p)
	s.tell(ctx, audit.Event{Type: audit.PolicyReplaced, Before: audited(replaced), Policy: audited(p)})
	s.refused.Store(nil)
	s.metrics.Activated(p.Revision(), p.MemoPaths())
	s.archive.Keep(p.Hash(), p.Revision(), p.Bundle("").Files())
}

// audited names a policy; nil is none, as at a start.
func audited(p *course.Policy) *audit.Policy {
	if p == nil {
		return nil
	}
	return &audit.Policy{Revision: p.Revision(), Content: p.Hash()}
}

func (s *Service) tell(ctx context.Context, e audit.Event) {
	if s.deps.Audit != nil {
		s.deps.Audit.Add(ctx, e)
	}
}

// changed reports whether the files are others than those that were judged last. Files that cannot be read are a change once.
func (s *Service) changed() bool {
	hash, err := bundlefile.Hash(s.source)
	s.loading.Lock()
	defer s.loading.Unlock()
	if err != nil {
		return s.seen != ""
	}
	return hash != s.seen
}

// again loads files once more that are as they were when their check did not get through.
func (s *Service) again(ctx context.Context) {
	s.loading.Lock()
	s.seen = ""
	s.loading.Unlock()
	s.reload(ctx)
}

// unfinished reports whether the files are to be tried again as they are.
func (s *Service) unfinished() bool {
	refused := s.refused.Load()
	return refused != nil && refused.passing()
}

// reload loads the policy files if they have changed, and reports whether they had. A bundle that is refused is logged, counted and
// remembered; the one that answers stays.
func (s *Service) reload(ctx context.Context) bool {
	s.loading.Lock()
	defer s.loading.Unlock()
	hash, err := bundlefile.Hash(s.source)
	switch {
	case err == nil && hash == s.active.Load().Hash():
		s.seen = hash
		s.refused.Store(nil)
		return true
	case err == nil && hash == s.seen:
		return false
	}
	start := time.Now()
	loaded, err := s.loadFrom(ctx, s.source, s.deps.Now())
	if ctx.Err() != nil {
		return true
	}
	if err != nil {
		s.refuse(ctx, err)
		return true
	}
	s.activate(ctx, loaded)
	s.deps.Log.InfoContext(
		ctx, "policy activated", "revision", loaded.Revision(), "origin", s.origin(), "took_ms", time.Since(start).Milliseconds(),
	)
	return true
}

func (s *Service) refuse(ctx context.Context, err error) {
	refused := &refusal{err: err, at: s.deps.Now(), content: s.seen}
	before := s.refused.Swap(refused)
	s.metrics.ReloadFailures.Inc()
	// The same files may be refused again and again.
	if before == nil || before.content != refused.content {
		s.tell(ctx, audit.Event{Type: audit.PolicyRefused, Policy: audited(s.active.Load()), Reason: err.Error()})
	}
	attributes := []any{"origin", s.origin(), "error", err, "active", s.active.Load().Revision(), "again", refused.passing()}
	var place *bundle.Error
	if errors.As(err, &place) && place.File != "" {
		attributes = append(attributes, "file", place.File, "line", place.Line)
	}
	s.deps.Log.ErrorContext(ctx, "policy refused, the last good one stays", attributes...)
}
