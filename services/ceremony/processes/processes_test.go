package processes_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/keyward/keyward/api/frontend"
	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/keyring"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/ceremonytest"
	"github.com/keyward/keyward/services/ceremony/environments"
	"github.com/keyward/keyward/services/ceremony/internal/process"
	"github.com/keyward/keyward/services/ceremony/processes"
)

// owner is the one project there is, with a ring of keys as the keyring gives it.
type owner struct{ project.Project }

func (o owner) Find(_ context.Context, id ident.ProjectID) (project.Project, error) {
	if id != o.ID {
		return project.Project{}, project.ErrUnknown
	}
	o.Ring = &keyring.Ring{}
	return o.Project, nil
}

// seen is the room environments, which issues the handle that it has, or refuses.
type seen struct {
	handle *string
	err    error
}

func (s seen) Visit(project.Project, rest.ClientInformation) (environments.Visit, error) {
	return environments.Visit{Issued: s.handle}, s.err
}

func room(st *ceremonytest.Stack, e processes.Environments) *processes.Service {
	return processes.New(processes.Deps{
		Projects: owner{st.Project}, Processes: process.NewStore(st.Buckets.Processes), Environments: e, Now: st.Clock.Now,
	})
}

func TestAProcessIsFoundByItsTokenAlone(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	s := room(st, seen{handle: new("handle-1")})
	begun, err := s.Begin(t.Context(), st.Project, service.Visit{}, process.Connect, frontend.ClientInformation{}, map[string]int{"step": 1})
	if err != nil {
		t.Fatal(err)
	}
	if begun.NewHandle == nil || *begun.NewHandle != "handle-1" || *begun.Process.Client.ClientEnvHandle != "handle-1" {
		t.Errorf("the handle that was issued is not that of the process: %+v", begun)
	}
	last := begun.Token[len(begun.Token)-1:]
	other := map[string]string{"a": "b"}[last]
	if other == "" {
		other = "a"
	}
	for name, c := range map[string]struct {
		project ident.ProjectID
		kind    process.Kind
		token   string
		later   time.Duration
		found   bool
	}{
		"with its token":                    {st.Project.ID, process.Connect, begun.Token, 0, true},
		"a moment before its end":           {st.Project.ID, process.Connect, begun.Token, processes.Lifetime - time.Millisecond, true},
		"not at its end":                    {st.Project.ID, process.Connect, begun.Token, processes.Lifetime, false},
		"not as a process of another API":   {st.Project.ID, process.SignIn, begun.Token, 0, false},
		"not with another secret":           {st.Project.ID, process.Connect, begun.Token[:len(begun.Token)-1] + other, 0, false},
		"not by its ID, which events carry": {st.Project.ID, process.Connect, begun.Process.ID, 0, false},
		"not without a token":               {st.Project.ID, process.Connect, "", 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			at := processes.New(processes.Deps{
				Projects: owner{st.Project}, Processes: process.NewStore(st.Buckets.Processes), Environments: seen{},
				Now: func() time.Time { return st.Clock.Now().Add(c.later) },
			})
			p, found, err := at.Of(t.Context(), service.Visit{Project: c.project, Process: c.token}, c.kind)
			if c.found && (err != nil || found.ID != begun.Process.ID || p.ID != st.Project.ID || string(found.State) != `{"step":1}`) {
				t.Errorf("%+v, %v", found, err)
			}
			if !c.found && !errors.Is(err, process.ErrUnknown) {
				t.Errorf("found: %+v, %v", found, err)
			}
		})
	}
	if _, _, err := s.Of(t.Context(), service.Visit{Project: ident.NewProjectID(), Process: begun.Token}, process.Connect); err == nil {
		t.Error("a project that is not there has processes")
	}
}

func TestWithoutAnEnvironmentNoProcessBegins(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	refused := errors.New("refused")
	if _, err := room(st, seen{err: refused}).Begin(
		t.Context(), st.Project, service.Visit{}, process.SignIn, frontend.ClientInformation{}, nil,
	); !errors.Is(err, refused) {
		t.Error(err)
	}
}
