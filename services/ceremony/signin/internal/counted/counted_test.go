package counted_test

import (
	"strings"
	"testing"
	"time"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/keyring"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/services/ceremony/internal/signin"
	"github.com/keyward/keyward/services/ceremony/signin/internal/counted"
)

func projectOf(t *testing.T, id ident.ProjectID, root string) project.Project {
	t.Helper()
	ring, err := keyring.NewRing(id, keyring.Versions{{Number: 1, Root: []byte(root), CreatedMs: time.Now().UnixMilli()}})
	if err != nil {
		t.Fatal(err)
	}
	return project.Project{ID: id, Ring: ring}
}

func TestWhatCountsTogether(t *testing.T) {
	t.Parallel()
	const root = "a root secret of thirty-two bytes"
	p := projectOf(t, "pro-1", root)
	to := func(value, shown string) signin.Means {
		return signin.Means{Type: account.IdentifierTypeEmail, Value: value, Shown: shown}
	}
	ada := to("ada@example.com", "a***@example.com")
	for name, c := range map[string]struct {
		project                        project.Project
		means                          signin.Means
		from                           string
		sameIdentifier, sameSourceOnly bool // as ada@example.com from 192.0.2.1 in pro-1
	}{
		"the same":                              {p, ada, "192.0.2.1", true, true},
		"another spelling of the identifier":    {p, to("ADA@example.com", ""), "192.0.2.1", true, true},
		"somebody of that name who is not here": {p, to("", "ada@example.com"), "192.0.2.1", true, true},
		"another identifier":                    {p, to("bob@example.com", ""), "192.0.2.1", false, true},
		"another source":                        {p, ada, "192.0.2.2", true, false},
		"the same source, written in IPv6":      {p, ada, "::ffff:192.0.2.1", true, true},
		"another project of the same key":       {projectOf(t, "pro-2", root), ada, "192.0.2.1", false, false},
		"a key of another root":                 {projectOf(t, "pro-1", strings.Repeat("x", 32)), ada, "192.0.2.1", false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want, got := counted.WrongCodes(p, ada, "192.0.2.1"), counted.WrongCodes(c.project, c.means, c.from)
			if same := want.Identifier == got.Identifier; same != c.sameIdentifier || (want.InARow == got.InARow) != same {
				t.Errorf("wrong codes count together for the identifier: %v", same)
			}
			if same := want.Source == got.Source; same != c.sameSourceOnly {
				t.Errorf("wrong codes count together for the source: %v", same)
			}
			sends, others := counted.ToSend(p, ada, "192.0.2.1"), counted.ToSend(c.project, c.means, c.from)
			if same := sends.All == others.All; same != c.sameIdentifier {
				t.Errorf("messages count together: %v", same)
			}
			if same := sends.Own == others.Own; same != (c.sameIdentifier && c.sameSourceOnly) {
				t.Errorf("messages that the source has asked for count together: %v", same)
			}
		})
	}
}

func TestASubscribersNetworkIsOneSource(t *testing.T) {
	t.Parallel()
	p := projectOf(t, "pro-1", "a root secret of thirty-two bytes")
	of := func(from string) any { return counted.WrongCodes(p, signin.Means{Shown: "x"}, from).Source }
	if of("2001:db8:0:7::1") != of("2001:db8:0:7:ffff::2") {
		t.Error("two addresses of one network of 64 bits count apart")
	}
	if of("2001:db8:0:7::1") == of("2001:db8:0:8::1") {
		t.Error("two networks count together")
	}
	if of("fe80::1%eth0") != of("fe80::1%eth1") {
		t.Error("a zone makes another source")
	}
	if of("unknown") == of("") {
		t.Error("what is no address counts together with nothing")
	}
}

func TestACountNamesNobody(t *testing.T) {
	t.Parallel()
	p := projectOf(t, "pro-1", "a root secret of thirty-two bytes")
	sends := counted.ToSend(p, signin.Means{Type: account.IdentifierTypeEmail, Value: "ada@example.com"}, "192.0.2.1")
	for _, text := range []string{"ada", "example", "192.0.2.1"} {
		if strings.Contains(string(sends.All+sends.Own), text) {
			t.Errorf("%q is in what messages are counted under", text)
		}
	}
	if sends.All == sends.Own {
		t.Error("all messages and those of a source are counted under the same")
	}
}
