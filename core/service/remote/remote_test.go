package remote_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/rpc"
	"github.com/keyward/keyward/core/service/remote"
	"github.com/keyward/keyward/core/service/servicetest"
)

// serveAll serves every service by fakes.
func serveAll(t *testing.T) (*nats.Conn, *servicetest.Recording) {
	t.Helper()
	cfg := bus.DefaultConfig()
	cfg.DataDir = t.TempDir()
	log := slog.New(slog.DiscardHandler)
	b, err := bus.Open(t.Context(), cfg, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	fake := &servicetest.Recording{}
	for _, svc := range []rpc.Service{
		remote.CeremonyMethods(
			servicetest.Ceremony{Recording: fake}, servicetest.Desk{Recording: fake}, servicetest.UserImporter{Recording: fake},
		),
		remote.DecisionMethods(
			servicetest.Decision{Recording: fake}, servicetest.Explanations{Recording: fake}, servicetest.Standings{Recording: fake},
		),
		remote.EventsMethods(
			servicetest.Events{Recording: fake}, servicetest.EventImporter{Recording: fake}, servicetest.Timelines{Recording: fake},
			servicetest.Webhooks{Recording: fake},
		),
		remote.PolicyMethods(
			servicetest.Adoption{Recording: fake}, servicetest.Decisions{Recording: fake}, servicetest.Policies{Recording: fake},
			servicetest.Studies{Recording: fake},
		),
	} {
		server, err := rpc.Serve(b.Conn, svc, rpc.Options{Version: "0.0.1"}, log)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := server.Close(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
	return b.Conn, fake
}

func TestServicesListenWhereOtherVersionsCallThem(t *testing.T) {
	t.Parallel()
	conn, _ := serveAll(t)
	var subjects []string
	for _, name := range []string{"ceremony", "decision", "events", "policy"} {
		answer, err := conn.Request("$SRV.INFO.keyward-"+name, nil, 10*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		var info micro.Info
		if err := json.Unmarshal(answer.Data, &info); err != nil {
			t.Fatal(err)
		}
		for _, e := range info.Endpoints {
			subjects = append(subjects, e.Subject)
		}
	}
	slices.Sort(subjects)
	want, err := os.ReadFile("testdata/subjects.txt")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Fields(string(want)), subjects); diff != "" {
		t.Error("a subject that was released stays; make generate adds new ones to testdata/subjects.txt:\n" + diff)
	}
}

func TestEveryMethodOfAClientArrivesAsItself(t *testing.T) {
	t.Parallel()
	conn, fake := serveAll(t)
	for _, client := range []any{
		remote.NewCeremonyClient(conn, rpc.Within(time.Minute)), remote.NewDecisionClient(conn, rpc.Within(time.Minute)),
		remote.NewEventsClient(conn, rpc.Within(time.Minute)), remote.NewPolicyClient(conn, rpc.Within(time.Minute)),
	} {
		for i := range reflect.TypeOf(client).NumMethod() {
			method, name := reflect.ValueOf(client).Method(i), reflect.TypeOf(client).Method(i).Name
			before := len(fake.Calls())
			request := reflect.New(method.Type().In(1)).Elem()
			results := method.Call([]reflect.Value{reflect.ValueOf(t.Context()), request})
			if err := results[1].Interface(); err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			calls := fake.Calls()[before:]
			if len(calls) != 1 || !strings.HasSuffix(calls[0].Method, "."+name) {
				t.Errorf("%s was taken for %+v", name, calls)
			}
		}
	}
}
