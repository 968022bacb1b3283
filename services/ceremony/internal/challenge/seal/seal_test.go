package seal_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/keyring"
	"github.com/keyward/keyward/core/keyring/keyringtest"
	"github.com/keyward/keyward/core/kv"
	"github.com/keyward/keyward/services/ceremony/internal/challenge/seal"
)

func ada() seal.To { return seal.To{Project: "pro-1", User: "usr-1"} }

func ringOf(tb rapid.TB, numbers ...int) *keyring.Ring {
	var versions keyring.Versions
	for _, n := range numbers {
		versions = append(versions, keyring.Version{Number: n, Root: bytes.Repeat([]byte{byte(n)}, 32)})
	}
	ring, err := keyring.NewRing("pro-1", versions)
	if err != nil {
		tb.Fatal(err)
	}
	return ring
}

func usual() seal.Ceremony {
	return seal.Ceremony{
		Known: seal.Known{
			ID: "was-4693224802260150919", Created: 1_795_000_000_000, Expires: 1_795_000_300_000, Environment: "env-4693224802260150919",
			Route: event.Local, UserVerification: "required", OS: "macOS", OSVersion: "15.1", Browser: "Safari", BrowserVersion: "18.1",
		},
		Process: "prc-1", RPID: "example.com", Origins: []string{"https://example.com", "https://www.example.com"},
		Allowed: [][]byte{[]byte("a passkey"), []byte("another")},
	}
}

func sealed(tb rapid.TB, keys *keyring.Ring, to seal.To, c seal.Ceremony) string {
	challenge, err := seal.Seal(keys, to, c)
	if err != nil {
		tb.Fatal(err)
	}
	return challenge
}

func TestWhatIsSealedIsOpened(t *testing.T) {
	t.Parallel()
	keys := ringOf(t, 1)
	rapid.Check(t, func(t *rapid.T) {
		text, octets := rapid.StringN(0, 16, 64), rapid.SliceOfN(rapid.Byte(), 1, 64)
		number := rapid.Uint64().Draw
		c := usual()
		c.ID = ident.ChallengeID(fmt.Sprintf("was-%d", number(t, "id")))
		c.Environment = ident.EnvironmentID(fmt.Sprintf("env-%d", number(t, "environment")))
		c.Created = rapid.Int64Range(0, 1<<61).Draw(t, "created")
		c.Expires = c.Created + rapid.Int64Range(0, 1<<61).Draw(t, "ttl")
		c.Route = rapid.SampledFrom([]event.Route{"", event.Local, event.CDA, event.SecurityKey}).Draw(t, "route")
		c.UserVerification = rapid.SampledFrom([]string{"", "required", "preferred", "discouraged"}).Draw(t, "verification")
		c.SecondFactor = rapid.Bool().Draw(t, "second factor")
		c.OS, c.OSVersion = text.Draw(t, "os"), text.Draw(t, "os version")
		c.Browser, c.BrowserVersion = text.Draw(t, "browser"), text.Draw(t, "browser version")
		c.Process, c.RPID = text.Draw(t, "process"), text.Draw(t, "rp id")
		c.Origins = rapid.SliceOfN(text, 0, 4).Draw(t, "origins")
		c.Allowed = rapid.SliceOfN(octets, 0, 4).Draw(t, "allowed")

		o, err := seal.Open(keys, ada(), sealed(t, keys, ada(), c))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.Known, o.Known); diff != "" {
			t.Fatal(diff)
		}
		if !o.InProcess(c.Process) || o.InProcess(c.Process+"x") || o.HasProcess() != (c.Process != "") {
			t.Errorf("process %q", c.Process)
		}
		if !o.For(c.RPID) || o.For(c.RPID+"x") {
			t.Errorf("RP ID %q", c.RPID)
		}
		for _, origin := range c.Origins {
			if !o.From(origin) {
				t.Errorf("origin %q", origin)
			}
		}
		for _, id := range c.Allowed {
			if !o.Allows(id) {
				t.Errorf("passkey %q", id)
			}
		}
		if o.From("of nobody, which is longer than any") || o.Allows(bytes.Repeat([]byte("x"), 65)) != (len(c.Allowed) == 0) {
			t.Error("what was not named is taken")
		}
	})
}

func TestOneChangedBitAndItDoesNotOpen(t *testing.T) {
	t.Parallel()
	keys := ringOf(t, 1, 2, 3)
	raw, err := base64.RawURLEncoding.DecodeString(sealed(t, keys, ada(), usual()))
	if err != nil {
		t.Fatal(err)
	}
	for i := range raw {
		for bit := range 8 {
			forged := bytes.Clone(raw)
			forged[i] ^= 1 << bit
			if _, err := seal.Open(keys, ada(), base64.RawURLEncoding.EncodeToString(forged)); !errors.Is(err, seal.ErrForged) {
				t.Fatalf("byte %d, bit %d: %v", i, bit, err)
			}
		}
	}
	for n := range raw {
		if _, err := seal.Open(keys, ada(), base64.RawURLEncoding.EncodeToString(raw[:n])); !errors.Is(err, seal.ErrForged) {
			t.Fatalf("the first %d bytes: %v", n, err)
		}
	}
}

func TestAChallengeOpensForWhomItWasGivenToWithTheKeyThatSealedIt(t *testing.T) {
	t.Parallel()
	old, kept, dropped := ringOf(t, 1), ringOf(t, 1, 2), ringOf(t, 2)
	challenge := sealed(t, old, ada(), usual())
	for name, c := range map[string]struct {
		keys      *keyring.Ring
		to        seal.To
		challenge string
		want      error
	}{
		"as it was":                       {old, ada(), challenge, nil},
		"after a rotation":                {kept, ada(), challenge, nil},
		"after the key was dropped":       {dropped, ada(), challenge, seal.ErrForged},
		"sealed by the newest":            {kept, ada(), sealed(t, kept, ada(), usual()), nil},
		"not by an older one":             {old, ada(), sealed(t, kept, ada(), usual()), seal.ErrForged},
		"another user":                    {old, seal.To{Project: "pro-1", User: "usr-2"}, challenge, seal.ErrForged},
		"nobody":                          {old, seal.To{Project: "pro-1"}, challenge, seal.ErrForged},
		"another project":                 {old, seal.To{Project: "pro-2", User: "usr-1"}, challenge, seal.ErrForged},
		"padded":                          {old, ada(), challenge + "=", seal.ErrForged},
		"with a line break":               {old, ada(), challenge[:8] + "\n" + challenge[8:], seal.ErrForged},
		"in the other alphabet":           {old, ada(), "+/" + challenge[2:], seal.ErrForged},
		"empty":                           {old, ada(), "", seal.ErrForged},
		"longer than any":                 {old, ada(), strings.Repeat("A", seal.MaxLength+4), seal.ErrForged},
		"while keys cannot be read":       {keyringtest.Cut(t, "pro-1"), ada(), sealed(t, ringOf(t, 2), ada(), usual()), kv.ErrUnavailable},
		"sealed with the key of old":      {ringOf(t, 0, 1), ada(), versioned(t, challenge, 0), seal.ErrForged},
		"by the form of earlier versions": {old, ada(), "AQ" + challenge[2:], seal.ErrForged},
		"by a form that is yet to come":   {old, ada(), "Aw" + challenge[2:], seal.ErrForged},
	} {
		if _, err := seal.Open(c.keys, c.to, c.challenge); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if challenge, err := seal.Seal(ringOf(t, 0), ada(), usual()); err == nil {
		t.Errorf("the key of old sealed %s", challenge)
	}
}

func TestTheFormSaysWhetherTheEventOrAMarkSpendsAChallenge(t *testing.T) {
	t.Parallel()
	keys, nobody := ringOf(t, 1), seal.To{Project: "pro-1"}
	before, err := seal.SealBefore(keys, ada(), usual())
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		to        seal.To
		challenge string
		byEvent   bool
	}{
		"of a user": {ada(), sealed(t, keys, ada(), usual()), true},
		"of nobody": {nobody, sealed(t, keys, nobody, usual()), false},
		"of a user, by one that knows of marks alone": {ada(), before, false},
	} {
		o, err := seal.Open(keys, c.to, c.challenge)
		if err != nil || o.ByEvent != c.byEvent {
			t.Errorf("%s: by its event %t, %v", name, o.ByEvent, err)
		}
	}
	// An earlier version opens what begins with 1, and nothing else.
	if raw, err := base64.RawURLEncoding.DecodeString(sealed(t, keys, ada(), usual())); err != nil || raw[0] == 1 {
		t.Errorf("an instance that knows of marks alone would open it: version %d, %v", raw[0], err)
	}
}

// versioned returns a challenge that says another version of its key.
func versioned(t *testing.T, challenge string, number byte) string {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(challenge)
	if err != nil {
		t.Fatal(err)
	}
	raw[4] = number
	return base64.RawURLEncoding.EncodeToString(raw)
}

func TestEveryRequestHasAChallengeOfItsOwn(t *testing.T) {
	t.Parallel()
	keys, seen := ringOf(t, 1), make(map[string]bool)
	for range 1000 {
		seen[sealed(t, keys, ada(), usual())] = true
	}
	if len(seen) != 1000 {
		t.Errorf("%d challenges of 1000 were different", len(seen))
	}
}

func TestAChallengeIsAsLongAsItsStateAndNoLonger(t *testing.T) {
	t.Parallel()
	many := usual()
	many.Origins, many.Allowed = nil, nil
	for i := range 100 {
		many.Origins = append(many.Origins, fmt.Sprintf("https://%d.example.com", i))
	}
	for i := range 1000 {
		many.Allowed = append(many.Allowed, fmt.Append(nil, "passkey ", i))
	}
	if got := len(sealed(t, ringOf(t, 1), ada(), many)); got > seal.MaxLength {
		t.Errorf("with all that a project and a user may have it has %d characters", got)
	}
	const longest = 192
	if got := len(sealed(t, ringOf(t, 1), ada(), usual())); got > longest {
		t.Errorf("usually it has %d characters, more than %d", got, longest)
	}
	if seal.Overhead > 64 {
		t.Errorf("sealing adds %d bytes", seal.Overhead)
	}
	long := usual()
	long.OS = strings.Repeat("ä", 100)
	o, err := seal.Open(ringOf(t, 1), ada(), sealed(t, ringOf(t, 1), ada(), long))
	if err != nil || o.OS != strings.Repeat("ä", 32) {
		t.Errorf("%q, %v", o.OS, err)
	}
	for range 10_000 {
		long.Allowed = append(long.Allowed, []byte("passkey"))
	}
	if _, err := seal.Seal(ringOf(t, 1), ada(), long); err == nil {
		t.Error("a challenge is longer than any is opened")
	}
}

func TestAChallengeSaysByWhichSideOfACanaryItsStartWasJudged(t *testing.T) {
	t.Parallel()
	for _, arm := range []*event.Arm{nil, {Side: event.Base, Change: 1}, {Side: event.Canary, Change: 1_000_000}} {
		judged := usual()
		judged.Arm = arm
		o, err := seal.Open(ringOf(t, 1), ada(), sealed(t, ringOf(t, 1), ada(), judged))
		if err != nil || !cmp.Equal(o.Known, judged.Known) {
			t.Errorf("%+v, %v", o, err)
		}
	}
	unheard := usual()
	unheard.Arm = &event.Arm{Side: "left", Change: 1}
	if _, err := seal.Seal(ringOf(t, 1), ada(), unheard); err == nil {
		t.Error("a challenge names a side that there is not")
	}
}

func TestAChallengeSaysWhichDecisionOfferedIt(t *testing.T) {
	t.Parallel()
	for decision, want := range map[ident.DecisionID]ident.DecisionID{
		"dec-1795348800000123456789012": "dec-1795348800000123456789012", "dec-0000000000000000000000000": "dec-0000000000000000000000000",
		"": "", "dec-7": "", // of another form
	} {
		judged := usual()
		judged.Decision = decision
		o, err := seal.Open(ringOf(t, 1), ada(), sealed(t, ringOf(t, 1), ada(), judged))
		if err != nil || o.Decision != want {
			t.Errorf("%q: %q, %v", decision, o.Decision, err)
		}
	}
}

// The form is a promise: a challenge that was sealed before an update is opened after it.
func TestAChallengeOfThisFormIsOpenedInEveryRelease(t *testing.T) {
	t.Parallel()
	const challenge = "AQAAAAFKGywBbi099yJQmOH5BgHKgQ0grimP2Z5biqrYKnvNMECRxxr07ppc9rjKSic3ugeVHII2LGyS2g4SzlIi0REHnu2ZQKvN" +
		"q5qWZQhyko8onozU4Zw4aQCXOULe0AKCF8oxW9IYq_x_ixPVGFEVwLXkmXbRcChV1fTtZRZYNlqSVEU"
	o, err := seal.Open(ringOf(t, 1), ada(), challenge)
	if err != nil {
		t.Fatal(err)
	}
	want := usual()
	if diff := cmp.Diff(want.Known, o.Known); diff != "" {
		t.Error(diff)
	}
	if !o.InProcess("prc-1") || !o.For("example.com") || !o.From(want.Origins[0]) || !o.From(want.Origins[1]) || !o.Allows(want.Allowed[1]) ||
		o.From("https://elsewhere.example.com") || o.Allows([]byte("a third")) {
		t.Error("its hashes are others")
	}
}
