package relyingparty

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"testing"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/keyring"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/services/ceremony/internal/challenge"
)

func TestRequestOptionsAndSessionAreTheLibrarysOwn(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text, octets := rapid.String(), rapid.SliceOfN(rapid.Byte(), 1, 64)
		r := Request{
			UserVerification: rapid.SampledFrom([]string{"required", "preferred", ""}).Draw(t, "user verification"),
			Hints:            rapid.SliceOfN(text, 0, 3).Draw(t, "hints"),
		}
		for range rapid.IntRange(0, 4).Draw(t, "credentials") {
			r.Allow = append(
				r.Allow,
				&account.Credential{CredentialID: octets.Draw(t, "credential ID"), Transports: rapid.SliceOfN(text, 0, 3).Draw(t, "transports")},
			)
		}
		handle := rapid.SliceOfN(rapid.Byte(), 0, 64).Draw(t, "user handle")
		party := New(project.Project{ID: "pro-1", RPID: "example.com", RPName: "Shop"}, []string{"https://example.com"})
		p := project.Project{ID: "pro-1", Ring: ringOf(t)}
		sealed, err := challenge.Record{
			ID: "was-1", Type: rest.PasskeyChallengeTypeAuthenticate, Project: p.ID, User: "usr-1", RPID: "example.com",
			Expires: 1,
		}.Seal(p.Ring, r.Asked())
		if err != nil {
			t.Fatal(err)
		}
		got := party.Get(sealed.Value, r)

		wantOptions, wantSession := theLibrarys(t, party, handle, r, sealed.Value)
		if diff := cmp.Diff(parsed(t, wantOptions), parsed(t, []byte(got))); diff != "" {
			t.Fatalf("options: %s", diff)
		}
		opened, err := challenge.NewStore(challenge.Places{}).Find(context.Background(), challenge.Claim{
			Keys: p.Ring, Project: p.ID, User: "usr-1", Value: sealed.Value, Type: rest.PasskeyChallengeTypeAuthenticate, RPID: "example.com",
		}, time.UnixMilli(0))
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range append(wantSession.AllowedCredentialIDs, []byte("another")) {
			session, allowed, err := requested(account.Account{UserHandle: handle}, opened, len(handle) == 0, id)
			if err != nil {
				t.Fatal(err)
			}
			if want := string(id) != "another" || len(r.Allow) == 0; allowed != want {
				t.Errorf("%q: allowed %t", id, allowed)
			}
			theirs := wantSession
			theirs.AllowedCredentialIDs = nil
			if diff := cmp.Diff(theirs, session); diff != "" {
				t.Fatalf("session: %s", diff)
			}
		}
	})
}

func ringOf(t *rapid.T) *keyring.Ring {
	ring, err := keyring.NewRing("pro-1", keyring.Versions{{Number: 1, Root: make([]byte, 32)}})
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

// theLibrarys returns what go-webauthn makes of the same request and challenge, after a passage through its own JSON.
func theLibrarys(t *rapid.T, party *Party, handle []byte, r Request, value string) ([]byte, webauthn.SessionData) {
	raw, err := base64.RawURLEncoding.DecodeString(value)
	if err != nil {
		t.Fatalf("challenge %q: %v", value, err)
	}
	web, err := party.library()
	if err != nil {
		t.Fatal(err)
	}
	options := func(o *protocol.PublicKeyCredentialRequestOptions) error {
		o.Challenge, o.Timeout = raw, timeoutMs
		o.AllowedCredentials, o.Hints = descriptors(r.Allow), hints(r.Hints)
		o.UserVerification = protocol.UserVerificationRequirement(r.UserVerification)
		return nil
	}
	var assertion *protocol.CredentialAssertion
	var session *webauthn.SessionData
	if len(handle) == 0 {
		assertion, session, err = web.BeginDiscoverableLogin(options)
	} else {
		assertion, session, err = web.BeginLogin(
			user{Account: account.Account{UserHandle: handle, Credentials: make([]account.Credential, 1)}}, options,
		)
	}
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(publicKey{assertion.Response})
	if err != nil {
		t.Fatal(err)
	}
	kept, err := json.Marshal(session)
	if err != nil {
		t.Fatal(err)
	}
	var again webauthn.SessionData
	if err := json.Unmarshal(kept, &again); err != nil {
		t.Fatal(err)
	}
	return text, again
}

func parsed(t *rapid.T, text []byte) map[string]any {
	var v map[string]any
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return v
}

func TestAnImmediateRequestSaysItsMode(t *testing.T) {
	t.Parallel()
	party := New(project.Project{ID: "pro-1", RPID: "example.com", RPName: "Shop"}, []string{"https://example.com"})
	for immediate, want := range map[bool]string{true: "immediate", false: ""} {
		var options struct {
			UIMode    string `json:"uiMode"`
			PublicKey struct {
				UserVerification string `json:"userVerification"`
			} `json:"publicKey"`
		}
		got := party.Get("AAAA", Request{UserVerification: "required", Immediate: immediate})
		if err := json.Unmarshal([]byte(got), &options); err != nil {
			t.Fatal(err)
		}
		if options.UIMode != want || options.PublicKey.UserVerification != "required" {
			t.Errorf("immediate %t: %s", immediate, got)
		}
	}
}
