package workbench_test

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	opa "github.com/open-policy-agent/opa/v1/bundle"

	"github.com/keyward/keyward/api/operator"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/policies/policiestest"
	"github.com/keyward/keyward/services/decision"
	"github.com/keyward/keyward/services/decision/internal/bundlefile"
	"github.com/keyward/keyward/services/decision/internal/release"
	"github.com/keyward/keyward/services/decision/internal/signature"
	"github.com/keyward/keyward/services/decision/internal/signature/signaturetest"
	"github.com/keyward/keyward/services/decision/internal/tarball"
	"github.com/keyward/keyward/services/decision/workbench"
)

// vouched has an instance take what the keys have signed.
func vouched(by signature.Config) func(*decision.Config, *decision.Deps) {
	return func(cfg *decision.Config, _ *decision.Deps) { cfg.Signatures = by }
}

// built is a bundle as "opa build" makes it, signed by a key that its token does not name: without schemas.
func built(t *testing.T, files bundlefile.Files, by signaturetest.Pair) []byte {
	t.Helper()
	raw, err := tarball.Write(files.ForOPA("built"))
	if err != nil {
		t.Fatal(err)
	}
	read, err := opa.NewReader(bytes.NewReader(raw)).Read()
	if err != nil {
		t.Fatal(err)
	}
	if err := read.GenerateSignature(opa.NewSigningConfig(string(by.Private), by.Algorithm, ""), "", true); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := opa.NewWriter(&out).Write(read); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestWhatIsSignedGoesLiveAndSaysByWhom(t *testing.T) {
	t.Parallel()
	ci, review := signaturetest.P256(t, "ci"), signaturetest.Ed25519(t, "review")
	by := signature.Config{Keys: signaturetest.Directory(t, ci, review), Required: 1}
	b := open(t, workbench.Config{Signatures: by})
	running := b.instance(t, vouched(by))
	signed := b.push(t, ada, signaturetest.Signed(t, revised(t, "both", nil), ci, review))
	if signed.Signatures == nil || !slices.Equal(*signed.Signatures, []string{"ci", "review"}) {
		t.Errorf("it is signed by %v", signed.Signatures)
	}
	b.live(t, ada, signed.Number)
	eventually(t, "what both signed answers", func() bool {
		revision, _ := answers(t, running)
		return revision == "both"
	})
	ofOPA, err := b.PushPolicy(t.Context(), service.ForOperator[operator.PolicyPushReq]{
		Operator: ada, Body: operator.PolicyPushReq{Bundle: built(t, revised(t, "x", nil), ci), Message: "m"},
	})
	if err != nil || ofOPA.Signatures == nil || !slices.Equal(*ofOPA.Signatures, []string{"ci"}) {
		t.Fatalf("%+v, %v", ofOPA, err)
	}
	b.live(t, ada, ofOPA.Number)
	eventually(t, "what OPA built answers", func() bool {
		revision, _ := answers(t, running)
		return revision == "built"
	})
}

func TestWhatIsNotSignedAsItMustBeIsNotPushed(t *testing.T) {
	t.Parallel()
	ci, stranger := signaturetest.P256(t, "ci"), signaturetest.Ed25519(t, "stranger")
	b := open(t, workbench.Config{Signatures: signature.Config{Keys: signaturetest.Directory(t, ci), Required: 1}})
	good := signaturetest.Signed(t, revised(t, "one", nil), ci)
	forged := maps.Clone(good)
	forged["login/login.rego"] = append(bytes.Clone(good["login/login.rego"]), "\n# A remark.\n"...)
	for name, c := range map[string]struct {
		files bundlefile.Files
		want  string
	}{
		"nothing signed":     {revised(t, "one", nil), ".signatures.json: it is signed by 0 of the keys"},
		"one changed after":  {forged, "by the key ci: login/login.rego is not what was signed"},
		"one by another key": {signaturetest.Signed(t, revised(t, "one", nil), stranger), "by none of them"},
	} {
		_, err := b.PushPolicy(t.Context(), service.ForOperator[operator.PolicyPushReq]{Operator: ada, Body: request(t, c.files)})
		if err == nil || len(fault.As(err).Validation) != 1 || fault.As(err).Validation[0].Field != "bundle" ||
			!strings.Contains(fault.As(err).Validation[0].Message, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if all, err := b.ListPolicies(t.Context(), service.ForOperator[service.Empty]{}); err != nil || len(all.Revisions) > 0 {
		t.Errorf("%+v, %v", all, err)
	}
}

// An instance trusts neither the store nor who has pushed: each of these is in the store, as somebody who can write there has put it.
func TestAnInstanceTakesNothingThatIsNotSignedAsItMustBe(t *testing.T) {
	t.Parallel()
	ci, old := signaturetest.P256(t, "ci"), signaturetest.Ed25519(t, "old")
	dir := signaturetest.Directory(t, ci, old)
	keys := filepath.Join(dir, "keys.yaml")
	retired := "keys: {ci: {file: ci.pem}, old: {file: old.pem, retired_at: 2026-01-01T00:00:00Z}}"
	if err := os.WriteFile(keys, []byte(retired), 0o600); err != nil {
		t.Fatal(err)
	}
	by := signature.Config{Keys: keys, Required: 1}
	b := open(t, workbench.Config{}) // which verifies nothing
	good := signaturetest.Signed(t, revised(t, "good", nil), ci)
	b.live(t, ada, b.push(t, ada, good).Number)
	running := b.instance(t, vouched(by))
	forged := maps.Clone(good)
	forged["data.json"] = bytes.Replace(good["data.json"], []byte(`"doubtSeconds"`), []byte(`"doubtSecondsNot"`), 1)
	store, err := release.Open(t.Context(), b.js)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		files bundlefile.Files
		want  string
	}{
		"nothing signed":      {revised(t, "unsigned", nil), "no signature at all"},
		"one changed after":   {forged, "data.json is not what was signed"},
		"one by a former key": {signaturetest.Signed(t, revised(t, "old", nil), old), "the key old was retired at 2026-01-01"},
	} {
		r := release.Revision{Name: name, Author: release.Actor{Name: "x"}, CreatedMs: time.Now().UnixMilli(), CheckedBy: "1.0.0"}
		r, err := store.Push(t.Context(), r, c.files)
		if err != nil {
			t.Fatal(err)
		}
		b.live(t, ada, int32(r.Number))
		eventually(t, name+" is refused, and that is told", func() bool {
			i := b.status(t).Instances[0]
			return i.Refused != nil && strings.Contains(*i.Refused, c.want)
		})
		if revision, _ := answers(t, running); revision != "good" {
			t.Errorf("%s: %s answers", name, revision)
		}
	}
	// The key is good again, and nothing else has to be done.
	if err := os.WriteFile(keys, []byte("keys: {ci: {file: ci.pem}, old: {file: old.pem}}"), 0o600); err != nil {
		t.Fatal(err)
	}
	last := b.push(t, ada, signaturetest.Signed(t, revised(t, "old", nil), old))
	b.live(t, ada, last.Number)
	eventually(t, "what it has signed answers", func() bool {
		revision, _ := answers(t, running)
		return revision == "old"
	})
}

func TestAKeyThatIsAddedHasWhatItSignedTakenWithoutAnythingElse(t *testing.T) {
	t.Parallel()
	ci, fresh := signaturetest.P256(t, "ci"), signaturetest.Ed25519(t, "fresh")
	keys := signaturetest.Directory(t, ci)
	b := open(t, workbench.Config{})
	running := b.instance(t, func(cfg *decision.Config, _ *decision.Deps) {
		cfg.Signatures, cfg.RetryLongest = signature.Config{Keys: keys, Required: 1}, time.Second
	})
	b.live(t, ada, b.push(t, ada, signaturetest.Signed(t, revised(t, "fresh", nil), fresh)).Number)
	eventually(t, "it is refused", func() bool { return b.status(t).Instances[0].Refused != nil })
	if err := os.WriteFile(filepath.Join(keys, "fresh.pem"), fresh.Public, 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it answers", func() bool {
		revision, _ := answers(t, running)
		return revision == "fresh"
	})
}

func TestFilesOfADirectoryAreSignedOrRefused(t *testing.T) {
	t.Parallel()
	ci := signaturetest.P256(t, "ci")
	by := signature.Config{Keys: signaturetest.Directory(t, ci), Required: 1}
	b := open(t, workbench.Config{})
	files := fstest.MapFS{}
	for name, content := range signaturetest.Signed(t, revised(t, "signed", nil), ci) {
		files[name] = &fstest.MapFile{Data: content}
	}
	dir := policiestest.Dir(t, files)
	running := b.instance(t, func(cfg *decision.Config, _ *decision.Deps) { cfg.Signatures, cfg.PoliciesDir = by, dir })
	if revision, _ := answers(t, running); revision != "signed" {
		t.Fatalf("%s answers", revision)
	}
	rule := filepath.Join(dir, "login", "login.rego")
	raw, err := os.ReadFile(rule)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(rule, append(raw, "\n# A remark.\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the changed file is refused", func() bool {
		refused := running.Status().Refused
		return refused != nil && strings.Contains(refused.Error(), "login/login.rego is not what was signed")
	})
	if revision, _ := answers(t, running); revision != "signed" {
		t.Errorf("%s answers", revision)
	}
}
