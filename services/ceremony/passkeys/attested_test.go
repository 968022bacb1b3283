package passkeys_test

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/kv"
	"github.com/keyward/keyward/core/metadata"
	"github.com/keyward/keyward/core/metadata/metadatatest"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/ceremonytest"
	"github.com/keyward/keyward/services/ceremony/ceremonytest/authenticator"
	"github.com/keyward/keyward/services/ceremony/internal/attestation"
)

const model = "2fc0579f-8113-47ea-b116-bb5a8db9202a"

var modelBytes = [16]byte{0x2f, 0xc0, 0x57, 0x9f, 0x81, 0x13, 0x47, 0xea, 0xb1, 0x16, 0xbb, 0x5a, 0x8d, 0xb9, 0x20, 0x2a}

// asking returns a stack whose project asks for attestation.
func asking(t *testing.T, wanted project.Attestation) *ceremonytest.Stack {
	t.Helper()
	st := ceremonytest.New(t)
	st.Project.Attestation = wanted
	st.Projects.Set(st.Project)
	return st
}

// know has the metadata say that a maker's root vouches for its model.
func know(t *testing.T, st *ceremonytest.Stack, m *authenticator.Maker) {
	t.Helper()
	s := metadatatest.New(t, metadata.Name, ceremonytest.Started)
	said, err := metadata.Verify(
		s.Blob(t, 1, ceremonytest.Started, metadatatest.Model(model, []metadatatest.Certificate{m.Root}, "FIDO_CERTIFIED_L2")),
		metadata.Trust{Roots: []*x509.Certificate{s.Root.Certificate}}, ceremonytest.Started,
	)
	if err != nil {
		t.Fatal(err)
	}
	st.Metadata.Store(said)
}

func TestOptionsAskForAttestationAsTheProjectDoes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		wanted  project.Attestation
		asked   string
		formats []string
	}{
		"nothing": {},
		"everything": {
			project.Attestation{Conveyance: "enterprise", Formats: []string{"tpm", "packed"}}, "enterprise", []string{"tpm", "packed"},
		},
	} {
		st := asking(t, c.wanted)
		d := authenticator.Phone()
		var said struct {
			PublicKey map[string]any `json:"publicKey"`
		}
		if err := json.Unmarshal([]byte(st.BeginAppend(t, st.NewUser(t), d).AttestationOptions), &said); err != nil {
			t.Fatal(err)
		}
		asked, _ := said.PublicKey["attestation"].(string)
		if c.asked == "" && asked != "" && asked != "none" || c.asked != "" && asked != c.asked {
			t.Errorf("%s: asked for %q", name, asked)
		}
		var formats []string
		listed, _ := said.PublicKey["attestationFormats"].([]any)
		for _, one := range listed {
			formats = append(formats, one.(string))
		}
		if diff := cmp.Diff(c.formats, formats); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestWhatAnAuthenticatorSaysOfItselfIsKeptWithThePasskey(t *testing.T) {
	t.Parallel()
	st := asking(t, project.Attestation{Conveyance: "direct"})
	maker := authenticator.NewMaker(t, modelBytes, ceremonytest.Started)
	know(t, st, maker)
	statements := attestation.NewStore(st.Buckets.Attested, st.Metadata)
	user, key := st.NewUser(t), maker.Key()
	answer := maker.Attest(t, key.Create(t, st.BeginAppend(t, user, key).AttestationOptions))
	data, err := st.FinishAppend(t, user, key, answer)
	if err != nil {
		t.Fatal(err)
	}
	hash := sha256.Sum256(maker.Batch.Raw)
	kept := st.Account(t, user).Credentials
	want := &account.Attestation{Format: "packed", Trust: account.TrustVerified, Certificates: [][]byte{hash[:]}, Kept: true}
	if diff := cmp.Diff(want, kept[0].Attestation); diff != "" || kept[0].AAGUID != model {
		t.Errorf("%s: %s", kept[0].AAGUID, diff)
	}
	ref := attestation.Ref{Project: st.Project.ID, User: user, Passkey: ident.CredentialID(data.ID)}
	if said, err := statements.Get(t.Context(), ref); err != nil || len(said.Object) == 0 || len(said.ClientDataHash) != sha256.Size {
		t.Errorf("the statement is %+v, %v", said, err)
	}
	if _, err := st.DeleteCredential(t.Context(), service.ForUser[ident.CredentialID]{
		Project: st.Project.ID, User: user, Body: ref.Passkey,
	}); err != nil {
		t.Fatal(err)
	}
	if said, err := statements.Get(t.Context(), ref); !errors.Is(err, kv.ErrNotFound) {
		t.Errorf("it outlives the passkey: %+v, %v", said, err)
	}

	key = maker.Key()
	if data, err = st.FinishAppend(t, user, key, maker.Attest(t, key.Create(t, st.BeginAppend(t, user, key).AttestationOptions))); err != nil {
		t.Fatal(err)
	}
	ref.Passkey = ident.CredentialID(data.ID)
	if _, err := st.DeleteUser(t.Context(), service.ForUser[service.Empty]{Project: st.Project.ID, User: user}); err != nil {
		t.Fatal(err)
	}
	if said, err := statements.Get(t.Context(), ref); !errors.Is(err, kv.ErrNotFound) {
		t.Errorf("it outlives the user: %+v, %v", said, err)
	}
}

func TestAPasskeyThatNobodyVouchesForIsRefusedWhereTheProjectTakesNoOthers(t *testing.T) {
	t.Parallel()
	maker := authenticator.NewMaker(t, modelBytes, ceremonytest.Started)
	forger := authenticator.NewMaker(t, modelBytes, ceremonytest.Started)
	none := func(t *testing.T, answer string) string {
		return authenticator.Restate(t, answer, "none", func([]byte) any { return map[string]any{} })
	}
	for name, c := range map[string]struct {
		state   func(*testing.T, string) string
		known   bool
		trust   account.Trust
		step    string
		refused bool
	}{
		"its maker vouches": {func(t *testing.T, a string) string { return maker.Attest(t, a) }, true, account.TrustVerified, "", false},
		"another maker does": {
			func(t *testing.T, a string) string { return forger.Attest(t, a) }, true, account.TrustUnverified, "chain", true,
		},
		"nothing is known": {
			func(t *testing.T, a string) string { return maker.Attest(t, a) }, false, account.TrustUnverified, "metadata", true,
		},
		"it vouches by itself": {func(_ *testing.T, a string) string { return a }, true, account.TrustSelf, "", true},
		"it says nothing":      {none, true, account.TrustNone, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, unverified := range []string{"", project.RefuseUnverified} {
				st := asking(t, project.Attestation{Conveyance: "direct", Unverified: unverified})
				if c.known {
					know(t, st, maker)
				}
				user, key := st.NewUser(t), maker.Key()
				_, err := st.FinishAppend(t, user, key, c.state(t, key.Create(t, st.BeginAppend(t, user, key).AttestationOptions)))
				kept := st.Account(t, user).Credentials
				if c.refused && unverified != "" {
					var f *fault.Fault
					if !errors.As(err, &f) || f.Status != 400 || len(f.Validation) != 1 || f.Validation[0].Field != "attestationResponse" ||
						!errors.Is(err, attestation.ErrUnattested) || len(kept) != 0 {
						t.Errorf("%v, %+v", err, kept)
					}
					continue
				}
				if err != nil || len(kept) != 1 || kept[0].Attested() != c.trust {
					t.Fatalf("%v, %+v", err, kept)
				}
				if said := kept[0].Attestation; said != nil && said.Step != c.step {
					t.Errorf("it fails at %q", said.Step)
				}
			}
		})
	}
}

func TestAStatementThatNobodyCanReadIsNoneWhereNobodyAsked(t *testing.T) {
	t.Parallel()
	for conveyance, taken := range map[project.Conveyance]bool{"": true, "indirect": false} {
		st := asking(t, project.Attestation{Conveyance: conveyance})
		user, d := st.NewUser(t), authenticator.Phone()
		answer := d.Create(t, st.BeginAppend(t, user, d).AttestationOptions)
		_, err := st.FinishAppend(t, user, d, authenticator.Restate(t, answer, "of-tomorrow", func([]byte) any { return map[string]any{"a": 1} }))
		if taken != (err == nil) || err != nil && !strings.Contains(err.Error(), "attestation statement") {
			t.Fatalf("%q: %v", conveyance, err)
		}
		if kept := st.Account(t, user).Credentials; taken && (len(kept) != 1 || kept[0].Attestation != nil) {
			t.Errorf("%+v", kept)
		}
	}
}

func TestWhatIsTooLargeIsJudgedAndNotKept(t *testing.T) {
	t.Parallel()
	st := asking(t, project.Attestation{Conveyance: "direct"})
	maker := authenticator.NewMaker(t, modelBytes, ceremonytest.Started)
	know(t, st, maker)
	user, key := st.NewUser(t), maker.Key()
	answer := key.Create(t, st.BeginAppend(t, user, key).AttestationOptions)
	chain := [][]byte{}
	for range 9 {
		large := metadatatest.Certify(t, &x509.Certificate{DNSNames: []string{strings.Repeat("a", 1000)}}, nil, ceremonytest.Started)
		chain = append(chain, large.Raw)
	}
	answer = maker.AttestWith(t, answer, chain...)
	if _, err := st.FinishAppend(t, user, key, answer); err != nil {
		t.Fatal(err)
	}
	said := st.Account(t, user).Credentials[0].Attestation
	if said.Trust != account.TrustVerified || said.Kept || len(said.Certificates) != 10 {
		t.Errorf("%+v", said)
	}
}
