package integrity

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/direct"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/kv"
	"github.com/keyward/keyward/services/ceremony/internal/credindex"
	"github.com/keyward/keyward/services/ceremony/internal/identindex"
)

// settled is how old a name must be to be judged: it may have come to its account after the indexes were read. It is more than clocks
// differ.
const settled = time.Minute

// eraseLimit is how long a user's deletion may take from its first erasure until it is told.
const eraseLimit = time.Hour

// looked is how many suspects of a kind are looked at again before they are told; of more than that the rest is counted as suspected.
const looked = 1000

// keys is a set of what is in the store, by hash: of a million accounts there are several million.
type keys struct {
	seed  maphash.Seed
	known map[uint64]struct{}
}

func newKeys() keys { return keys{maphash.MakeSeed(), make(map[uint64]struct{})} }

func (k keys) add(parts ...string) { k.known[k.hash(parts)] = struct{}{} }

func (k keys) has(parts ...string) bool {
	_, ok := k.known[k.hash(parts)]
	return ok
}

func (k keys) hash(parts []string) uint64 { return maphash.String(k.seed, strings.Join(parts, "/")) }

// suspect is a user about whom two places disagree.
type suspect struct{ project, user, item string }

// pass is one look at everything.
type pass struct {
	checker  *Checker
	before   int64 // a name that is younger is not judged; Unix ms
	accounts kv.Bucket[account.Account]
	users    keys // also those who are being deleted
	indexed  keys
	erasing  bool

	unreadable, unindexed, unowned, returned []suspect
}

// cross compares accounts, indexes and log with each other.
func (c *Checker) cross(ctx context.Context, log mark) ([]Finding, error) {
	p := &pass{
		checker: c, before: c.deps.Now().Add(-settled).UnixMilli(), users: newKeys(), indexed: newKeys(),
		accounts: kv.Bucket[account.Account]{KV: c.buckets[bus.AccountsBucket], Name: "account"},
	}
	for _, step := range []func(context.Context) error{p.readIndexes, p.readAccounts, p.readOwners, p.readLog} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return p.findings(ctx, log)
}

// readIndexes notes what leads to an account.
func (p *pass) readIndexes(ctx context.Context) error {
	return p.eachEntry(ctx, func(project, _, item string) { p.indexed.add(project, item) })
}

// eachEntry hands the entries of both indexes that tell of a user: the item is a passkey or an identifier by its ID.
func (p *pass) eachEntry(ctx context.Context, see func(project, user, item string)) error {
	for e, err := range credindex.NewStore(p.checker.buckets[bus.CredentialsBucket]).All(ctx) {
		if err != nil {
			return err
		}
		if project, _, _ := strings.Cut(e.Key, "."); e.Value.Deleted == 0 {
			see(project, string(e.Value.User), string(e.Value.Credential))
		}
	}
	for e, err := range identindex.NewStore(p.checker.buckets[bus.IdentifiersBucket]).All(ctx) {
		if err != nil {
			return err
		}
		if scope, _, _ := strings.Cut(e.Key, "."); scope != identindex.Everywhere {
			see(scope, e.Value.Owner, e.Value.ID)
		}
	}
	return nil
}

// readAccounts notes who is there, and who cannot be found by what is theirs.
func (p *pass) readAccounts(ctx context.Context) error {
	return p.accounts.Load(ctx, func(e kv.Entry[account.Account], err error) {
		project, user, _ := strings.Cut(e.Key, ".")
		switch {
		case err != nil:
			p.users.add(project, user)
			p.unreadable = append(p.unreadable, suspect{project: project, user: user})
		case !e.Gone:
			p.users.add(project, user)
			p.readAccount(e.Value)
		}
	})
}

func (p *pass) readAccount(a account.Account) {
	if a.Erasing {
		p.erasing = true
		return
	}
	for item, created := range items(a) {
		if created < p.before && !p.indexed.has(string(a.Project), item) {
			p.unindexed = append(p.unindexed, suspect{string(a.Project), string(a.ID), item})
		}
	}
}

// items returns what an account is found by, and when each came to it.
func items(a account.Account) map[string]int64 {
	all := make(map[string]int64, len(a.Credentials)+len(a.Identifiers)+len(a.SocialAccounts))
	for _, c := range a.Credentials {
		all[string(c.ID)] = c.CreatedMs
	}
	for _, i := range a.Identifiers {
		all[string(i.ID)] = i.CreatedMs
	}
	for _, s := range a.SocialAccounts {
		all[string(s.ID)] = s.CreatedMs
	}
	return all
}

// readOwners notes of whom an index tells who is not there.
func (p *pass) readOwners(ctx context.Context) error {
	return p.eachEntry(ctx, func(project, user, item string) {
		if !p.users.has(project, user) {
			p.unowned = append(p.unowned, suspect{project, user, item})
		}
	})
}

// readLog notes who was created and is not there, and who was deleted and is.
func (p *pass) readLog(ctx context.Context) error {
	deleted := newKeys()
	var created []suspect
	err := eachTold(ctx, p.checker.deps.JetStream, func(project, user string, what event.Type) {
		switch {
		case what == event.UserDeleted:
			deleted.add(project, user)
			if p.users.has(project, user) {
				p.returned = append(p.returned, suspect{project: project, user: user})
			}
		case !p.users.has(project, user):
			created = append(created, suspect{project: project, user: user})
		}
	})
	for _, s := range created {
		if !deleted.has(s.project, s.user) {
			p.unowned = append(p.unowned, s)
		}
	}
	return err
}

// eachTold hands the events that say that users came, and then those that say that users went. It makes no consumer: the log has those of
// others, and who may make one there may end them.
func eachTold(ctx context.Context, js jetstream.JetStream, see func(project, user string, what event.Type)) error {
	log, err := direct.Open(ctx, js, bus.EventsStream)
	if err != nil {
		return fmt.Errorf("read the log: %w", err)
	}
	for _, what := range []event.Type{event.UserCreated, event.UserDeleted} {
		err := log.Each(ctx, bus.EventsPrefix+".*.*."+string(what), direct.Start{}, func(msg direct.Message) (bool, error) {
			if token := strings.Split(msg.Subject, "."); len(token) == 5 {
				see(token[2], token[3], what)
			}
			return true, ctx.Err()
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// findings looks at each suspect again, since all that was read changes meanwhile, and says what is left.
func (p *pass) findings(ctx context.Context, log mark) ([]Finding, error) {
	if len(p.unindexed) > 0 {
		if err := p.readIndexes(ctx); err != nil {
			return nil, err
		}
	}
	var found []Finding
	for _, of := range []struct {
		kind     Kind
		where    string
		suspects []suspect
		still    func(context.Context, suspect) (bool, error)
	}{
		{Unreadable, bus.AccountsBucket, p.unreadable, func(context.Context, suspect) (bool, error) { return true, nil }},
		{NoIndex, bus.AccountsBucket, p.unindexed, p.stillHas},
		{NoAccount, bus.AccountsBucket, p.unowned, p.stillGone},
		{DeletedAccount, bus.AccountsBucket, p.returned, p.stillReturned},
	} {
		f, err := judge(ctx, of.suspects, of.still)
		if err != nil {
			return nil, err
		}
		if f.Kind, f.Where = of.kind, "KV_"+of.where; f.Count > 0 {
			found = append(found, f)
		}
	}
	gap, err := p.gap(ctx, log)
	if gap.Count > 0 {
		found = append(found, gap)
	}
	return found, err
}

// judge counts the users of whom it is still so.
func judge(ctx context.Context, suspects []suspect, still func(context.Context, suspect) (bool, error)) (Finding, error) {
	var f Finding
	users := make(map[suspect]bool)
	for _, s := range suspects {
		user := suspect{project: s.project, user: s.user}
		if users[user] {
			continue
		}
		if len(users) < looked {
			is, err := still(ctx, s)
			if err != nil {
				return f, err
			}
			if !is {
				continue
			}
		}
		users[user] = true
		if f.Example == "" {
			f.Example = s.project + "/" + s.user
		}
	}
	f.Count = uint64(len(users))
	return f, nil
}

func (p *pass) account(ctx context.Context, s suspect) (account.Account, bool, error) {
	e, err := p.accounts.Get(ctx, s.project+"."+s.user)
	if errors.Is(err, kv.ErrNotFound) {
		return account.Account{}, false, nil
	}
	return e.Value, err == nil, err
}

// stillHas is so of what no index has come to lead to either: who is imported may bring what is older than the import.
func (p *pass) stillHas(ctx context.Context, s suspect) (bool, error) {
	a, is, err := p.account(ctx, s)
	_, has := items(a)[s.item]
	return is && has && !a.Erasing && !p.indexed.has(s.project, s.item), err
}

// stillGone is so of users whose own history says that they were there; what else an index tells of is what an interrupted write left.
func (p *pass) stillGone(ctx context.Context, s suspect) (bool, error) {
	if _, is, err := p.account(ctx, s); is || err != nil {
		return false, err
	}
	last, err := p.last(ctx, s.project+"."+s.user+".*")
	return err == nil && last != nil && !strings.HasSuffix(last.Subject, "."+string(event.UserDeleted)), err
}

// stillReturned is so of accounts that nothing has changed since their deletion was told: who is imported under the same ID is no such.
func (p *pass) stillReturned(ctx context.Context, s suspect) (bool, error) {
	a, is, err := p.account(ctx, s)
	if !is || err != nil {
		return false, err
	}
	told, err := p.last(ctx, s.project+"."+s.user+"."+string(event.UserDeleted))
	return err == nil && told != nil && !a.Erasing && a.UpdatedMs <= told.Time.UnixMilli(), err
}

// last returns the last event with such a subject, nil if there is none or the names could be no subject.
func (p *pass) last(ctx context.Context, subject string) (*jetstream.RawStreamMsg, error) {
	project, user, _ := strings.Cut(subject, ".")
	user, _, _ = strings.Cut(user, ".")
	if _, err := ident.ParseProjectID(project); err != nil {
		return nil, nil //nolint:nilnil,nilerr // no subject, so no event
	}
	if _, err := ident.ParseUserID(user); err != nil {
		return nil, nil //nolint:nilnil,nilerr // no subject, so no event
	}
	stream, err := p.checker.deps.JetStream.Stream(ctx, bus.EventsStream)
	if err != nil {
		return nil, fmt.Errorf("read the log: %w", err)
	}
	msg, err := stream.GetLastMsgForSubject(ctx, bus.EventsPrefix+"."+subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, nil //nolint:nilnil // there is no event
	}
	if err != nil {
		return nil, fmt.Errorf("read the log: %w", err)
	}
	return msg, nil
}

// gap finds what is missing in the middle of the log since the mark. Only who erases a user takes anything from there, so while that is
// under way, or has been since, nobody can tell.
func (p *pass) gap(ctx context.Context, before mark) (Finding, error) {
	if before.At.IsZero() || p.erasing {
		return Finding{}, nil
	}
	stream, err := p.checker.deps.JetStream.Stream(ctx, bus.EventsStream)
	if err != nil {
		return Finding{}, fmt.Errorf("read the log: %w", err)
	}
	info := stream.CachedInfo()
	now := markOf(info.Config, info.State, before.At)
	if now.Absent <= before.Absent {
		return Finding{}, nil
	}
	erased, err := stream.GetLastMsgForSubject(ctx, bus.EventsPrefix+".*.*."+string(event.UserDeleted))
	if err == nil && erased.Time.After(before.At.Add(-eraseLimit)) {
		return Finding{}, nil
	}
	if err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) {
		return Finding{}, fmt.Errorf("read the log: %w", err)
	}
	return Finding{Kind: Gap, Where: bus.EventsStream, Count: now.Absent - before.Absent}, nil
}
