package cli_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/cmd/keyward/internal/cli"
	"github.com/keyward/keyward/core/audit"
	"github.com/keyward/keyward/core/bus"
)

// audited returns what is in the stream of security events, and the stream.
func audited(t *testing.T, environ []string) (told []audit.Event, raw string, js jetstream.JetStream) {
	t.Helper()
	address, err := bus.ServerURL(strings.TrimPrefix(environ[0], "KEYWARD_DATA_DIR="))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := nats.Connect(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	if js, err = jetstream.New(conn); err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), bus.AuditStream)
	if err != nil {
		t.Fatal(err)
	}
	for sequence := uint64(1); sequence <= stream.CachedInfo().State.LastSeq; sequence++ {
		msg, err := stream.GetMsg(t.Context(), sequence)
		if err != nil {
			t.Fatal(err)
		}
		var e audit.Event
		if err := json.Unmarshal(msg.Data, &e); err != nil {
			t.Fatal(err)
		}
		if e.Actor.Kind == audit.Command {
			told, raw = append(told, e), raw+string(msg.Data)
		}
	}
	return told, raw, js
}

func TestEveryCommandThatChangesAProjectIsInTheStreamOfSecurityEventsWithoutASecret(t *testing.T) {
	t.Parallel()
	environ, _ := server(t)
	ask := func(args ...string) string {
		t.Helper()
		got := run(t, environ, append([]string{"project"}, args...)...)
		if got.code != cli.ExitOK {
			t.Fatalf("%v: %+v", args, got)
		}
		return got.out
	}
	pages := filepath.Join(t.TempDir(), "frontend.yaml")
	if err := os.WriteFile(pages, []byte("reauthAge: 600\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var made struct{ ID string }
	printed := []string{ask("create", "--id", "pro-7", "--rp-id", "example.com", "--origin", "https://example.com", "-o", "json")}
	ask("update", "pro-7", "--name", "Shop")
	ask("frontend", "set", "--project", "pro-7", pages)
	printed = append(printed, ask("rotate-secret", "pro-7", "-o", "json"))
	created := ask("key", "create", "--project", "pro-7", "--name", "reader", "--permission", "*", "-o", "json")
	printed = append(printed, created)
	if err := json.Unmarshal([]byte(created), &made); err != nil {
		t.Fatal(err)
	}
	ask("key", "revoke", "--project", "pro-7", made.ID)
	ask("issuer", "add", "--project", "pro-7", "--url", "https://id.example.com", "--audience", "shop")
	ask("issuer", "remove", "--project", "pro-7", "--url", "https://id.example.com")
	ask("keys", "rotate", "pro-7", "--drop")
	printed = append(printed, ask("risk-key", "rotate", "pro-7", "-o", "json"))
	ask("signing-keys", "rotate", "pro-7")
	ask("signing-keys", "rotate", "pro-7", "--now")
	ask("delete", "pro-7", "--yes")

	told, raw, js := audited(t, environ)
	var got []string
	for _, e := range told {
		got = append(got, string(e.Type)+" by "+e.Actor.Name)
		if e.Project != "pro-7" || e.Instance == "" {
			t.Errorf("%+v", e)
		}
	}
	want := []string{
		"project-created by keyward project create",
		"project-updated by keyward project update",
		"project-updated by keyward project frontend set",
		"secret-rotated by keyward project rotate-secret",
		"key-created by keyward project key create",
		"key-revoked by keyward project key revoke",
		"issuer-added by keyward project issuer add",
		"issuer-removed by keyward project issuer remove",
		"keys-rotated by keyward project keys rotate",
		"keys-dropped by keyward project keys rotate",
		"risk-key-rotated by keyward project risk-key rotate",
		"signing-key-created by keyward project signing-keys rotate",
		"signing-key-rotated by keyward project signing-keys rotate",
		"project-deleted by keyward project delete",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, text := range printed {
		for _, word := range strings.FieldsFunc(text, func(r rune) bool { return r == '"' }) {
			if (strings.HasPrefix(word, "corbado1_") || strings.HasPrefix(word, "kwk1")) && strings.Contains(raw, word) {
				t.Errorf("the stream holds %s", word)
			}
		}
	}

	// What is done and not recorded is told, with what the command has made.
	if err := js.DeleteStream(t.Context(), bus.AuditStream); err != nil {
		t.Fatal(err)
	}
	unrecorded := run(t, environ, "project", "rotate-secret", "pro-1")
	if unrecorded.code != cli.ExitFailure || !strings.Contains(unrecorded.out, "corbado1_") ||
		!strings.Contains(unrecorded.err, audit.ErrUnrecorded.Error()) {
		t.Errorf("%+v", unrecorded)
	}
}
