package admit

import (
	"slices"
	"testing"

	"github.com/keyward/keyward/policies/policiestest"
	"github.com/keyward/keyward/services/decision/internal/engine"
	"github.com/keyward/keyward/services/decision/invariant"
)

func TestEveryNumberIsDoneOnce(t *testing.T) {
	t.Parallel()
	for _, count := range []int{0, 1, 2, 1000} {
		done := make([]int, count)
		abreast(count, func(number int) { done[number]++ })
		if i := slices.IndexFunc(done, func(times int) bool { return times != 1 }); i >= 0 {
			t.Errorf("of %d, number %d was done %d times", count, i, done[i])
		}
	}
}

func TestWhatIsSampledAtOnceIsWhatIsSampledInTurn(t *testing.T) {
	t.Parallel()
	files := policiestest.Files(t)
	policiestest.Edit(
		t, files, "login/login.rego", "user_login_blacklisted if input.blacklist.login == true", "user_login_blacklisted if false",
	)
	loaded, err := engine.Load(t.Context(), files, engine.Options{Admitted: true, MemoEntries: remembered, EvalTimeout: unhurried})
	if err != nil {
		t.Fatal(err)
	}
	var found [2]*invariant.Report
	for i, each := range []func(int, func(int)){nil, abreast} {
		if found[i], err = invariant.Sample(t.Context(), loaded, files, invariant.Options{Situations: 30, Seed: 1, Each: each}); err != nil {
			t.Fatal(err)
		}
	}
	if one, other := found[0], found[1]; one.Scenarios == "" || one.Scenarios != other.Scenarios || one.Situations != other.Situations {
		t.Errorf("%d situations:\n%s\nand %d:\n%s", one.Situations, one.Scenarios, other.Situations, other.Scenarios)
	}
}
