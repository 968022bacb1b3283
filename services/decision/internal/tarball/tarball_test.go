package tarball_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/keyward/keyward/policies/policiestest"
	"github.com/keyward/keyward/services/decision/internal/archive"
	"github.com/keyward/keyward/services/decision/internal/bundlefile"
	"github.com/keyward/keyward/services/decision/internal/tarball"
)

// entry is a file as somebody else writes it.
type entry struct {
	name, content string
	kind          byte
}

func tarOf(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var out bytes.Buffer
	zipped := gzip.NewWriter(&out)
	w := tar.NewWriter(zipped)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Size: int64(len(e.content)), Mode: 0o600, Typeflag: e.kind}
		if e.kind == tar.TypeSymlink {
			h.Size, h.Linkname = 0, e.content
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if h.Size > 0 {
			if _, err := w.Write([]byte(e.content)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := errors.Join(w.Close(), zipped.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestTheDefaultBundleGoesThroughATarAndAZIPAsItIs(t *testing.T) {
	t.Parallel()
	files, err := bundlefile.Read(policiestest.Files(t))
	if err != nil {
		t.Fatal(err)
	}
	tarred, err := tarball.Write(files)
	if err != nil {
		t.Fatal(err)
	}
	zipped, err := archive.Pack(files)
	if err != nil {
		t.Fatal(err)
	}
	for form, raw := range map[string][]byte{"a tar": tarred, "a ZIP": zipped} {
		read, err := tarball.Read(raw)
		if err != nil || read.Digest() != files.Digest() {
			t.Errorf("%s: %v: %s", form, err, cmp.Diff(files.Names(), read.Names()))
		}
	}
}

func TestFilesGoThroughATarAsTheyAre(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringMatching(`([a-z0-9_-]{1,12}/){0,12}[a-z0-9_-]{1,12}\.rego`)
		files := bundlefile.Files(rapid.MapOfN(name, rapid.SliceOf(rapid.Byte()), 1, 8).Draw(t, "files"))
		raw, err := tarball.Write(files)
		if err != nil {
			t.Fatal(err)
		}
		read, err := tarball.Read(raw)
		if err != nil || read.Digest() != files.Digest() {
			t.Fatalf("%v: %v, %v", files.Names(), read.Names(), err)
		}
	})
}

func TestWhatIsNoBundleIsRefused(t *testing.T) {
	t.Parallel()
	good := tarOf(t, entry{"/login/login.rego", "package login", tar.TypeReg})
	huge := strings.Repeat("x", 33<<20)
	many := make([]entry, 2_001)
	for i := range many {
		many[i] = entry{strings.Repeat("a", i%50+1) + "/x.rego", "", tar.TypeReg}
	}
	for what, tc := range map[string]struct {
		raw  []byte
		want error
	}{
		"nothing":                     {nil, tarball.ErrForm},
		"text":                        {[]byte("package login"), tarball.ErrForm},
		"half of it":                  {good[:len(good)/2], tarball.ErrForm},
		"without its checksum":        {good[:len(good)-4], tarball.ErrForm},
		"with a wrong checksum":       {append(bytes.Clone(good[:len(good)-8]), 1, 2, 3, 4, 5, 6, 7, 8), tarball.ErrForm},
		"half of a ZIP":               {[]byte("PK\x03\x04"), tarball.ErrForm},
		"a file above it":             {tarOf(t, entry{"../x.rego", "", tar.TypeReg}), tarball.ErrName},
		"a file above it, by the way": {tarOf(t, entry{"a/../../x.rego", "", tar.TypeReg}), tarball.ErrName},
		"a file of Windows":           {tarOf(t, entry{`..\x.rego`, "", tar.TypeReg}), tarball.ErrName},
		"a file twice": {
			tarOf(t, entry{"x.rego", "a", tar.TypeReg}, entry{"/x.rego", "b", tar.TypeReg}), tarball.ErrForm,
		},
		"nothing that belongs to one": {tarOf(t, entry{"README.md", "x", tar.TypeReg}), tarball.ErrEmpty},
		"links alone":                 {tarOf(t, entry{"x.rego", "/etc/passwd", tar.TypeSymlink}), tarball.ErrEmpty},
		"hidden files alone":          {tarOf(t, entry{".git/x.rego", "x", tar.TypeReg}), tarball.ErrEmpty},
		"a huge file":                 {tarOf(t, entry{"x.rego", huge, tar.TypeReg}), tarball.ErrTooLarge},
		"a huge file of no bundle": {
			tarOf(t, entry{"x.bin", huge + huge, tar.TypeReg}, entry{"x.rego", "", tar.TypeReg}), tarball.ErrTooLarge,
		},
		"many files": {tarOf(t, many...), nil},
	} {
		files, err := tarball.Read(tc.raw)
		if files != nil || err == nil || tc.want != nil && !errors.Is(err, tc.want) {
			t.Errorf("%s: %d files, %v, want %v", what, len(files), err, tc.want)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(tarOf(f, entry{"/data.json", "{}", tar.TypeReg}, entry{"x.rego", "package x", tar.TypeReg}))
	f.Add([]byte("PK\x05\x06"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		files, err := tarball.Read(raw)
		if (err == nil) != (len(files) > 0) {
			t.Errorf("%d files, %v", len(files), err)
		}
		for name := range files {
			if strings.HasPrefix(name, "/") || strings.HasPrefix(name, "..") {
				t.Errorf("a file outside of the bundle: %q", name)
			}
		}
	})
}
