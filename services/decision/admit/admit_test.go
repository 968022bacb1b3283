package admit_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/keyward/keyward/policies/policiestest"
	"github.com/keyward/keyward/services/decision/admit"
	"github.com/keyward/keyward/services/decision/invariant"
)

// The test's binary is the program, too, that checks for it: "policy check --bundle - --memory …".
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "policy" {
		os.Exit(program(os.Args[1:]))
	}
	os.Exit(m.Run())
}

func program(args []string) int {
	memory, err := strconv.ParseInt(args[5], 10, 64)
	if err != nil || admit.Bound(memory) != nil {
		return 1
	}
	packed, err := io.ReadAll(os.Stdin)
	if err != nil {
		return 1
	}
	report, err := admit.Check(context.Background(), packed, invariant.Options{})
	if err != nil || json.NewEncoder(os.Stdout).Encode(report) != nil {
		return 1
	}
	return 0
}

const (
	memory  = shadows * 256 << 20
	patient = time.Minute
)

// check has the default bundle checked with some files of its own.
func check(t *testing.T, within time.Duration, more map[string]string) (admit.Report, error) {
	t.Helper()
	files := policiestest.Files(t)
	for name, content := range more {
		files[name] = &fstest.MapFile{Data: []byte(content)}
	}
	packed, err := admit.Pack(files)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return admit.Keyward(own, memory, within, invariant.Options{}).Check(ctx, packed)
}

func TestAGoodBundleIsAdmittedByAnotherProcess(t *testing.T) {
	t.Parallel()
	report, err := check(t, patient, nil)
	if err != nil || report.Err() != nil || report.Revision == "" {
		t.Errorf("%+v, %v", report, err)
	}
}

func TestARefusalKeepsItsPlace(t *testing.T) {
	t.Parallel()
	report, err := check(t, patient, map[string]string{"login/extra.rego": "package keyward.login\n\nx := nothing(1)\n"})
	if err != nil || len(report.Refused) != 1 {
		t.Fatalf("%+v, %v", report, err)
	}
	if one := report.Refused[0]; one.File != "login/extra.rego" || one.Line != 3 || one.Advice == "" || one.Exhausted {
		t.Errorf("%+v", one)
	}
}

// doubling is a text of 64 characters that is doubled thirty times: 64 GiB.
func doubling() string {
	var text strings.Builder
	text.WriteString("package keyward.login\n\nlong_0 := \"" + strings.Repeat("x", 64) + "\"\n")
	for i := range 30 {
		last := "long_" + strconv.Itoa(i)
		text.WriteString("\nlong_" + strconv.Itoa(i+1) + " := concat(\"\", [" + last + ", " + last + "])\n")
	}
	return text.String() + "\ndefault_deny if long_30 == \"\"\n"
}

func TestARuleThatTakesAllMemoryEndsTheCheckAlone(t *testing.T) {
	t.Parallel()
	report, err := check(t, patient, map[string]string{"login/extra.rego": doubling()})
	if err != nil || report.Err() == nil || report.Refused[0].Advice == "" {
		t.Errorf("%+v, %v", report, err)
	}
}

// The compiler looks at types as a whole, also where they share.
func TestTypesThatDoubleEndTheCheckAlone(t *testing.T) {
	t.Parallel()
	var rules strings.Builder
	rules.WriteString("package keyward.login\n\nlist_0 := [1, 2]\n")
	for i := range 40 {
		last := "list_" + strconv.Itoa(i)
		rules.WriteString("\nlist_" + strconv.Itoa(i+1) + " := [" + last + ", " + last + "]\n")
	}
	report, err := check(t, 2*time.Second, map[string]string{"login/extra.rego": rules.String() + "\ndefault_deny if list_40 == []\n"})
	if err != nil || report.Err() == nil || report.Refused[0].Advice == "" {
		t.Errorf("%+v, %v", report, err)
	}
}

func TestACheckThatDoesNotEndIsEnded(t *testing.T) {
	t.Parallel()
	slow := "package keyward.login_slow_test\n"
	for _, name := range []string{"a", "b", "c", "d", "e", "f"} {
		slow += "\ntest_" + name + " if count([1 | some i, j in numbers.range(1, 1000000); i + j == 0]) == 0\n"
	}
	report, err := check(t, 2*time.Second, map[string]string{"login/slow_test.rego": slow})
	if err != nil || report.Err() == nil || !report.Refused[0].Exhausted {
		t.Errorf("%+v, %v", report, err)
	}
}

func TestAProgramThatCannotRunIsNotTheBundlesFault(t *testing.T) {
	t.Parallel()
	report, err := admit.Process{Program: "/nowhere/keyward"}.Check(t.Context(), nil)
	if !errors.Is(err, fs.ErrNotExist) || report.Err() != nil {
		t.Errorf("%+v, %v", report, err)
	}
}
