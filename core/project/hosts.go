package project

import (
	"cmp"
	"context"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/kv"
)

// HasHost reports whether a host name, in lower case, is one of the project's own, by itself or by a pattern.
func (p Project) HasHost(host string) bool {
	_, parent, _ := strings.Cut(host, ".")
	return host != "" && (host == p.CNAME || slices.Contains(p.Frontend.Hosts, host) || slices.Contains(p.Frontend.Hosts, "*."+parent))
}

// Visited returns the project that a call of the Frontend API is about: the one that it names, else the one that has the host's name,
// else the first one if the host is the installation's own, else the one whose pattern fits, else the only one there is. By its host a
// project is found in memory, by its name as Find does. Its errors are Find's.
func (s *Store) Visited(ctx context.Context, named ident.ProjectID, host string) (Project, error) {
	if named != "" {
		return s.Find(ctx, named)
	}
	if p, ok := s.at(host); ok {
		return p, nil
	}
	return Project{}, ErrUnknown
}

func (s *Store) at(host string) (Project, bool) {
	now := s.snapshot.Load()
	host = strings.ToLower(host)
	if id, ok := now.hosts[host]; ok {
		return now.projects[id], true
	}
	if s.isHome(host) {
		return now.first()
	}
	if _, parent, ok := strings.Cut(host, "."); ok {
		if id, ok := now.hosts["*."+parent]; ok {
			return now.projects[id], true
		}
	}
	if len(now.projects) == 1 {
		return now.first()
	}
	return Project{}, false
}

// First returns the project that was created first, which is at home at the installation's own host. It answers from memory.
func (s *Store) First() (Project, bool) { return s.snapshot.Load().first() }

func (s *snapshot) first() (Project, bool) {
	first, found := Project{}, false
	for _, p := range s.projects {
		if !found || older(p, first) {
			first, found = p, true
		}
	}
	return first, found
}

// isHome knows localhost by its addresses, too: they are no names that a project could have.
func (s *Store) isHome(host string) bool {
	if s.home == "" || host == s.home {
		return s.home != ""
	}
	address, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && address.IsLoopback() && s.home == "localhost"
}

// hostsOf maps every host name and pattern to its project. One that several projects have belongs to the oldest.
func hostsOf(projects map[ident.ProjectID]Project) map[string]ident.ProjectID {
	hosts := map[string]ident.ProjectID{}
	claim := func(host string, p Project) {
		if other, taken := hosts[host]; taken && !older(p, projects[other]) {
			return
		}
		hosts[host] = p.ID
	}
	for _, p := range projects {
		if p.CNAME != "" {
			claim(p.CNAME, p)
		}
		for _, host := range p.Frontend.Hosts {
			claim(host, p)
		}
	}
	return hosts
}

func older(a, b Project) bool {
	if a.CreatedMs != b.CreatedMs {
		return a.CreatedMs < b.CreatedMs
	}
	return a.ID < b.ID
}

// ownHosts returns the host names and patterns of a project, each with the field that it stands in.
func (p Project) ownHosts() map[string]string {
	own := make(map[string]string, len(p.Frontend.Hosts)+1)
	for _, host := range p.Frontend.Hosts {
		own[host] = "hosts"
	}
	if p.CNAME != "" {
		own[p.CNAME] = "cname"
	}
	return own
}

// overlap reports whether there is a host that two names or patterns both stand for.
func overlap(a, b string) bool { return a == b || covers(a, b) || covers(b, a) }

func covers(pattern, host string) bool {
	_, parent, _ := strings.Cut(host, ".")
	return parent != "" && !strings.HasPrefix(host, "*.") && pattern == "*."+parent
}

// claimsKey is where host names are claimed. What is stored there is a list, which no version takes for a project.
const claimsKey = "_hosts"

// A claim outlives the write that it is for by far: whoever has claimed a host has it in the project, or has given up, within claimLimit.
const (
	claimLimit   = 20 * time.Second
	claimLapseIn = time.Minute
)

// claim says which hosts a project is about to have. One without a project is of the installation, and does not lapse.
type claim struct {
	Project ident.ProjectID `json:"project,omitempty"`
	Hosts   []string        `json:"hosts"`
	AtMs    int64           `json:"atMs,omitempty"`
}

func (c claim) live(now time.Time) bool {
	return c.Project == "" || c.AtMs > now.Add(-claimLapseIn).UnixMilli()
}

// Settle writes down which host is the installation's own, for those who change projects without having been told.
func (s *Store) Settle(ctx context.Context) error {
	if s.home == "" {
		return nil
	}
	_, err := s.claims.Upsert(ctx, claimsKey, func(all *[]claim) error {
		*all = append(slices.DeleteFunc(*all, func(c claim) bool { return c.Project == "" }), claim{Hosts: []string{s.home}})
		return nil
	})
	return err
}

// claim reserves the hosts that a project is about to have and does not have yet. Of several projects that want hosts which overlap one
// gets them: their claims are made one after the other, each is seen by the next, and then the projects themselves are read. The fault is
// a conflict of the field.
func (s *Store) claim(ctx context.Context, before, after Project) error {
	wanted := after.ownHosts()
	for host := range before.ownHosts() {
		delete(wanted, host)
	}
	if len(wanted) == 0 {
		return nil
	}
	now := time.Now()
	mine := claim{Project: after.ID, Hosts: slices.Sorted(maps.Keys(wanted)), AtMs: now.UnixMilli()}
	home := s.home
	_, err := s.claims.Upsert(ctx, claimsKey, func(all *[]claim) error {
		*all = slices.DeleteFunc(*all, func(c claim) bool { return !c.live(now) })
		for _, c := range *all {
			if c.Project == "" {
				home = cmp.Or(s.home, c.Hosts[0])
			} else if c.Project != after.ID {
				if err := refuse(wanted, c.Hosts, "already exists"); err != nil {
					return err
				}
			}
		}
		*all = append(*all, mine)
		return nil
	})
	if err != nil {
		return err
	}
	if err := s.free(ctx, after, wanted, home); err != nil {
		_, _ = s.claims.Upsert(ctx, claimsKey, func(all *[]claim) error { // otherwise it lapses
			*all = slices.DeleteFunc(*all, func(c claim) bool { return c.Project == mine.Project && c.AtMs == mine.AtMs })
			return nil
		})
		return err
	}
	return nil
}

// giveUp makes hosts that a project has no longer free at once, not only when the claim has lapsed that it got them by.
func (s *Store) giveUp(ctx context.Context, before, after Project) error {
	gone := before.ownHosts()
	for host := range after.ownHosts() {
		delete(gone, host)
	}
	if len(gone) == 0 {
		return nil
	}
	_, err := s.claims.Upsert(ctx, claimsKey, func(all *[]claim) error {
		for i, c := range *all {
			if c.Project == after.ID {
				(*all)[i].Hosts = slices.DeleteFunc(c.Hosts, func(host string) bool { return gone[host] != "" })
			}
		}
		*all = slices.DeleteFunc(*all, func(c claim) bool { return len(c.Hosts) == 0 })
		return nil
	})
	return err
}

// free looks whether another project has one of the hosts. The installation's own is the first project's. It asks the bucket: what this
// process has heard of may be older than the claims.
func (s *Store) free(ctx context.Context, of Project, wanted map[string]string, home string) error {
	first, taken := of, []string(nil)
	err := s.projects.Load(ctx, func(e kv.Entry[Project], err error) {
		if err != nil || e.Gone || e.Key == claimsKey || e.Value.ID == of.ID {
			return // what cannot be read leads nobody anywhere
		}
		if older(e.Value, first) {
			first = e.Value
		}
		taken = slices.AppendSeq(taken, maps.Keys(e.Value.ownHosts()))
	})
	if err != nil {
		return err
	}
	if err := refuse(wanted, taken, "already exists"); err != nil || home == "" || first.ID == of.ID {
		return err
	}
	return refuse(wanted, []string{home}, "is the installation's own host, which leads to its first project")
}

// refuse is the fault of the first wanted host that overlaps with a taken one.
func refuse(wanted map[string]string, taken []string, why string) error {
	for host, field := range wanted {
		for _, other := range taken {
			switch {
			case !overlap(host, other):
			case host == other && field == "cname":
				return fault.Conflict(field, "%s", why)
			case host == other:
				return fault.Conflict(field, "%s %s", host, why)
			default:
				return fault.Conflict(field, "%s overlaps with %s, which %s", host, other, why)
			}
		}
	}
	return nil
}
