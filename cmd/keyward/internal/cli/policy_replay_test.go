package cli_test

import (
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/cmd/keyward/internal/cli"
	"github.com/keyward/keyward/cmd/keyward/internal/client"
)

// firstProject is a client of the project that a server made at its first start.
func firstProject(t *testing.T, environ []string, greeting string) *client.Client {
	t.Helper()
	project := client.Project{
		ID: regexp.MustCompile(`pro-\d+`).FindString(greeting), Secret: regexp.MustCompile(`corbado1_[A-Z2-7]{26}`).FindString(greeting),
	}
	for _, variable := range environ {
		if address, ok := strings.CutPrefix(variable, "KEYWARD_HTTP_ADDR="); ok {
			project.URL = "http://" + address
		}
	}
	return client.Connect(project, time.Minute, nil)
}

// decline has a new user asked to create a passkey so many times, who declines each time.
func decline(t *testing.T, api *client.Client, times int) (user string) {
	t.Helper()
	made, err := api.CreateUser(t.Context(), rest.UserCreateReq{Status: "active"})
	if err != nil {
		t.Fatal(err)
	}
	yes := true
	for visit := range times {
		process := "visit-" + strconv.Itoa(visit)
		if _, err := api.AppendStart(t.Context(), rest.PasskeyAppendStartReq{
			UserID: made.UserID, Username: "grace", ProcessID: process,
			ClientInformation: rest.ClientInformation{
				RemoteAddress: "203.0.113.7", UserVerifyingPlatformAuthenticatorAvailable: &yes,
				UserAgent: "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15",
			},
		}); err != nil {
			t.Fatal(err)
		}
		if _, err := api.ReportEvent(
			t.Context(), made.UserID, rest.PasskeyEventCreateReq{EventType: "append-explicit-abort", ProcessID: &process},
		); err != nil {
			t.Fatal(err)
		}
	}
	return made.UserID
}

// eventually asks again until it holds. Decisions are recorded in the background.
func eventually(t *testing.T, otherwise string, holds func() bool) {
	t.Helper()
	deadline := time.After(time.Minute)
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for !holds() {
		select {
		case <-again.C:
		case <-deadline:
			t.Fatal(otherwise)
		}
	}
}

func TestAReplayNamesTheDecisionsThatAnotherCountOfDeclinesChanges(t *testing.T) {
	t.Parallel()
	environ, greeting := server(t)
	decline(t, firstProject(t, environ, greeting), 4)
	type summary struct {
		Decisions, Same, Different int
		Changes                    []struct {
			Count    int
			Examples []struct {
				ID      string
				Was, Is struct{ Allow bool }
			}
		}
	}
	replay := func(bundle string) (s summary) {
		t.Helper()
		eventually(t, "the decisions are not recorded", func() bool {
			told := run(t, environ, "policy", "replay", "--bundle", bundle, "--json")
			if err := json.Unmarshal([]byte(told.out), &s); err != nil {
				t.Fatalf("%v: %+v", err, told)
			}
			return s.Decisions == 4
		})
		return s
	}
	// Three declines pause the offers, so the first three starts were answered yes, and the fourth no.
	for count, different := range map[string]int{"1": 2, "2": 1, "3": 0, "4": 1} {
		bundle := policyWith(
			t,
			`"default": {"count": 3, "cooldownSeconds": 2592000}`,
			`"default": {"count": `+count+`, "cooldownSeconds": 2592001}`,
		)
		got := replay(bundle)
		if got.Different != different || got.Same != 4-different {
			t.Errorf("with %s declines: %+v", count, got)
		}
		for _, change := range got.Changes {
			for _, example := range change.Examples {
				if example.Was.Allow == example.Is.Allow {
					t.Errorf("with %s declines, %s was %+v and is %+v", count, example.ID, example.Was, example.Is)
				}
				why := run(t, environ, "policy", "explain", example.ID, "--bundle", bundle)
				if why.code != cli.ExitOK ||
					!strings.Contains(why.out, "THE ANSWER DIFFERS") && !strings.Contains(why.out, "other parts of the answer differ") {
					t.Errorf("with %s declines, explained: %+v", count, why)
				}
			}
		}
	}
}
