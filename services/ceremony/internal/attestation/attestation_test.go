package attestation_test

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/google/uuid"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/metadata"
	"github.com/keyward/keyward/core/metadata/metadatatest"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/services/ceremony/internal/attestation"
)

// now is a moment in which the certificates of the tests' own service are valid; those of the vectors are for a thousand years.
var now = time.Date(2026, 11, 25, 14, 0, 0, 0, time.UTC)

type octets []byte

// UnmarshalText implements encoding.TextUnmarshaler.
func (o *octets) UnmarshalText(text []byte) (err error) {
	*o, err = hex.DecodeString(string(text))
	return err
}

// vectors are those of W3C Web Authentication Level 3 §16.
type vectors struct {
	Authority octets
	Vectors   []struct {
		Name              string
		AttestationObject octets
		ClientDataJSON    octets
		CredentialID      octets
	}
}

func read(t *testing.T) vectors {
	t.Helper()
	raw, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var all vectors
	if err := json.Unmarshal(raw, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// parse returns the answer of a vector, as it is when all but who vouches for it has been verified, and why that fails.
func parse(t *testing.T, object, client []byte) (*protocol.ParsedCredentialCreationData, error) {
	t.Helper()
	var made protocol.CredentialCreationResponse
	made.AttestationResponse.ClientDataJSON, made.AttestationResponse.AttestationObject = client, object
	made.Type = "public-key"
	var known protocol.AttestationObject
	encode := base64.RawURLEncoding.EncodeToString
	parsed, err := (&protocol.AuthenticatorAttestationResponse{
		AuthenticatorResponse: protocol.AuthenticatorResponse{ClientDataJSON: client}, AttestationObject: object,
	}).Parse()
	if err != nil {
		t.Fatal(err)
	}
	known = parsed.AttestationObject
	made.RawID = known.AuthData.AttData.CredentialID
	made.ID = encode(made.RawID)
	answer, err := made.Parse()
	if err != nil {
		t.Fatal(err)
	}
	hash := sha256.Sum256(client)
	return answer, answer.Response.AttestationObject.VerifyAttestation(
		hash[:], nil, protocol.AttestationPolicy{}, protocol.SignaturePolicy{},
	)
}

// said is metadata that knows one model, with a root.
func said(t *testing.T, entries ...metadatatest.Entry) *metadata.Snapshot {
	t.Helper()
	s := metadatatest.New(t, metadata.Name, now)
	snapshot, err := metadata.Verify(
		s.Blob(t, 1, now, entries...), metadata.Trust{Roots: []*x509.Certificate{s.Root.Certificate}}, now,
	)
	if err != nil || snapshot.Faulty > 0 {
		t.Fatalf("%+v, %v", snapshot, err)
	}
	return snapshot
}

func TestTheVectorsOfTheStandardAreJudged(t *testing.T) {
	t.Parallel()
	all := read(t)
	authority, err := x509.ParseCertificate(all.Authority)
	if err != nil {
		t.Fatal(err)
	}
	root := []metadatatest.Certificate{{Certificate: authority}}
	// These three are verified against the maker's own roots by the library, whatever is known, and those of the vectors are nobody's.
	unrooted := map[string]bool{"tpm": true, "android-key": true, "apple": true}
	for _, v := range all.Vectors {
		t.Run(v.Name, func(t *testing.T) {
			t.Parallel()
			answer, refused := parse(t, v.AttestationObject, v.ClientDataJSON)
			if (refused != nil) != unrooted[v.Name] {
				t.Fatalf("it is refused as %v", refused)
			}
			if refused != nil {
				return
			}
			data := answer.Response.AttestationObject.AuthData.AttData
			model := uuid.UUID(data.AAGUID).String()
			entry := metadatatest.Model(model, root)
			if model == uuid.Nil.String() || v.Name == "fido-u2f" {
				entry = byKey(t, answer, root)
			}
			got := attestation.Judge(answer, said(t, entry))
			switch v.Name {
			case "none":
				if got != nil {
					t.Errorf("it is %+v", got)
				}
				return
			case "packed, self":
				if got.Trust != account.TrustSelf || len(got.Certificates) != 0 {
					t.Errorf("it is %+v", got)
				}
				return
			}
			if got.Trust != account.TrustVerified || got.Step != "" || len(got.Certificates) == 0 || len(got.Certificates[0]) != sha256.Size {
				t.Errorf("it is %+v", got)
			}
			stranger := metadatatest.New(t, metadata.Name, now).Root
			entry["metadataStatement"].(map[string]any)["attestationRootCertificates"] = []string{
				base64.StdEncoding.EncodeToString(stranger.Raw),
			}
			if got := attestation.Judge(answer, said(t, entry)); got.Trust != account.TrustUnverified || got.Step != attestation.StepChain {
				t.Errorf("by another root it is %+v", got)
			}
		})
	}
}

// byKey is an entry of a model that is known by the keys which it attests with: it has no AAGUID (FIDO U2F).
func byKey(t *testing.T, answer *protocol.ParsedCredentialCreationData, root []metadatatest.Certificate) metadatatest.Entry {
	t.Helper()
	listed, _ := answer.Response.AttestationObject.AttStatement["x5c"].([]any)
	if len(listed) == 0 {
		return metadatatest.Model(uuid.NewString(), root)
	}
	leaf, err := x509.ParseCertificate(listed[0].([]byte))
	if err != nil {
		t.Fatal(err)
	}
	data := answer.Response.AttestationObject.AuthData.AttData
	if model := uuid.UUID(data.AAGUID); model != uuid.Nil {
		entry := metadatatest.Model(model.String(), root)
		return entry
	}
	entry := metadatatest.Model("", root)
	delete(entry, "aaguid")
	entry["attestationCertificateKeyIdentifiers"] = []string{hex.EncodeToString(leaf.SubjectKeyId)}
	statement := entry["metadataStatement"].(map[string]any)
	delete(statement, "aaguid")
	statement["protocolFamily"] = "u2f"
	return entry
}

func TestWhatAnAttestationFailsAtIsNamed(t *testing.T) {
	t.Parallel()
	all := read(t)
	authority, err := x509.ParseCertificate(all.Authority)
	if err != nil {
		t.Fatal(err)
	}
	root := []metadatatest.Certificate{{Certificate: authority}}
	vector := all.Vectors[2] // packed, ES256
	answer, refused := parse(t, vector.AttestationObject, vector.ClientDataJSON)
	if refused != nil {
		t.Fatal(refused)
	}
	model := uuid.UUID(answer.Response.AttestationObject.AuthData.AttData.AAGUID).String()
	changed := func(change func(statement map[string]any)) *metadata.Snapshot {
		entry := metadatatest.Model(model, root)
		change(entry["metadataStatement"].(map[string]any))
		return said(t, entry)
	}
	types := func(s map[string]any) { s["attestationTypes"] = []string{"basic_surrogate"} }
	roots := func(s map[string]any) { s["attestationRootCertificates"] = []string{} }
	for name, c := range map[string]struct {
		models *metadata.Snapshot
		step   string
	}{
		"nothing is known":             {nil, attestation.StepMetadata},
		"this model is not":            {said(t, metadatatest.Model(uuid.NewString(), root)), attestation.StepModel},
		"it attests by itself":         {changed(types), attestation.StepType},
		"there are no roots":           {changed(roots), attestation.StepChain},
		"the statement is another's":   {changed(func(s map[string]any) { s["aaguid"] = uuid.NewString() }), attestation.StepAAGUID},
		"it attests in another format": {changed(func(s map[string]any) { s["protocolFamily"] = "u2f" }), attestation.StepFormat},
		"it has been revoked":          {said(t, metadatatest.Model(model, root, "REVOKED")), ""},
	} {
		got := attestation.Judge(answer, c.models)
		if trusted := got.Trust == account.TrustVerified; got.Step != c.step || trusted != (c.step == "") {
			t.Errorf("%s: %+v, want %q", name, got, c.step)
		}
	}
}

func TestAProjectRefusesWhatIsNotVerified(t *testing.T) {
	t.Parallel()
	refusing := project.Project{Attestation: project.Attestation{Conveyance: "direct", Unverified: "refuse"}}
	keeping := project.Project{Attestation: project.Attestation{Conveyance: "direct"}}
	for trust, want := range map[account.Trust]bool{
		account.TrustNone: true, account.TrustSelf: true, account.TrustUnverified: true, account.TrustVerified: false,
	} {
		said := &account.Attestation{Trust: trust}
		if trust == account.TrustNone {
			said = nil
		}
		if attestation.Refused(&refusing, said) != want || attestation.Refused(&keeping, said) || attestation.Refused(&project.Project{}, said) {
			t.Errorf("%s is refused otherwise", trust)
		}
	}
}

func FuzzJudge(f *testing.F) {
	raw, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		f.Fatal(err)
	}
	var all vectors
	if err := json.Unmarshal(raw, &all); err != nil {
		f.Fatal(err)
	}
	for _, v := range all.Vectors {
		f.Add([]byte(v.AttestationObject))
	}
	models := &metadata.Snapshot{}
	f.Fuzz(func(t *testing.T, object []byte) {
		parsed, err := (&protocol.AuthenticatorAttestationResponse{
			AuthenticatorResponse: protocol.AuthenticatorResponse{ClientDataJSON: []byte(`{}`)}, AttestationObject: object,
		}).Parse()
		if err != nil {
			return
		}
		answer := &protocol.ParsedCredentialCreationData{Response: *parsed}
		if got := attestation.Judge(answer, models); got != nil && got.Trust == account.TrustVerified {
			t.Errorf("%+v", got)
		}
	})
}
