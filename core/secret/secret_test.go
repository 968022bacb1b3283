package secret_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/keyward/keyward/core/secret"
)

func TestNoWayOfPrintingShowsASecret(t *testing.T) {
	t.Parallel()
	const value = "corbado1_hidden"
	s := secret.Text(value)
	holder := struct {
		S secret.Text
		P *secret.Text
	}{s, &s}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&out, verb+"\n", s)
		fmt.Fprintf(&out, verb+"\n", holder)
	}
	if err := json.NewEncoder(&out).Encode(holder); err != nil {
		t.Fatal(err)
	}
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "secret", s, "holder", holder)
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "secret", s, "holder", holder)
	if strings.Contains(out.String(), "hidden") || strings.Contains(out.String(), fmt.Sprintf("%x", value)) {
		t.Errorf("a secret was printed:\n%s", out.String())
	}
	if s.Reveal() != value {
		t.Errorf("Reveal: got %q", s.Reveal())
	}
	if got := fmt.Sprint(secret.Text("")); got != "" {
		t.Errorf("an empty secret prints as %q", got)
	}
}

func TestURLKeepsWhatIsNotSecret(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ in, want string }{
		"empty":                     {"", ""},
		"no user":                   {"nats://localhost:4222", "nats://localhost:4222"},
		"user and password":         {"redis://bob:hunter2@cache:6379/1", "redis://bob:********@cache:6379/1"},
		"password alone":            {"redis://:hunter2@cache:6379", "redis://:********@cache:6379"},
		"a token in place of users": {"nats://s3cr3t@n1:4222", "nats://:********@n1:4222"},
		"several servers": {
			"nats://bob:hunter2@n1:4222,nats://bob:hunter2@n2:4222", "nats://bob:********@n1:4222,nats://bob:********@n2:4222",
		},
		"not a URL": {"://hunter2", "********"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := secret.URL(c.in)
			if strings.Contains(got, "hunter2") || strings.Contains(got, "s3cr3t") {
				t.Fatalf("secret shown: %s", got)
			}
			if got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}
