package experiment_test

import (
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/services/decision/internal/experiment"
	"github.com/keyward/keyward/services/decision/internal/facts"
)

func learn(t *testing.T, shares experiment.Shares) *experiment.Experiments {
	t.Helper()
	x, err := experiment.Learn(shares)
	if err != nil {
		t.Fatal(err)
	}
	return &x
}

// arm is one user's arm of an experiment.
func arm(t *testing.T, x *experiment.Experiments, project, user, name string) facts.Arm {
	t.Helper()
	arms, _ := x.Assign(ident.ProjectID(project), &account.Account{ID: ident.UserID(user)})
	for _, one := range arms {
		if one.Experiment == name {
			return one.Arm
		}
	}
	t.Fatalf("no arm of %s in %v", name, arms)
	return ""
}

func TestExperimentsThatRunAreToldAndTheOthersAreControl(t *testing.T) {
	t.Parallel()
	const everyone = 10_000
	for _, tc := range []struct {
		name        string
		share       int
		experiments map[string]int
		want        facts.Assignments
		told        []string
	}{
		{"none runs", 0, nil, facts.Assignments{{Experiment: facts.DeviceLocalPasskey, Arm: facts.Control}}, []string{}},
		{
			"one treats everyone", everyone, nil, facts.Assignments{{Experiment: facts.DeviceLocalPasskey, Arm: facts.Treatment}},
			[]string{"device-local-platform-passkey:treatment"},
		},
		{
			"a bundle's own, sorted", everyone, map[string]int{"zeal": everyone, "ardour": everyone, "rest": 0},
			facts.Assignments{
				{Experiment: "ardour", Arm: facts.Treatment}, {Experiment: facts.DeviceLocalPasskey, Arm: facts.Treatment},
				{Experiment: "rest", Arm: facts.Control}, {Experiment: "zeal", Arm: facts.Treatment},
			},
			[]string{"ardour:treatment", "device-local-platform-passkey:treatment", "zeal:treatment"},
		},
		// The smallest share there is treats nobody in the other 9,999 buckets, and still runs.
		{
			"a share of one in ten thousand", 1, nil,
			facts.Assignments{{Experiment: facts.DeviceLocalPasskey, Arm: facts.Control}}, []string{"device-local-platform-passkey:control"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			x := learn(t, experiment.Shares{DeviceLocalTreatmentShare: tc.share, Experiments: tc.experiments, ExperimentSalt: "salt"})
			arms, told := x.Assign("pro-1", &account.Account{ID: "usr-1"})
			if diff := cmp.Diff(tc.want, arms); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if diff := cmp.Diff(tc.told, told); diff != "" {
				t.Errorf("told (-want +got)\n%s", diff)
			}
		})
	}
}

// The boundaries were computed from the definition with another implementation of HMAC-SHA256.
func TestAUserIsTreatedIffTheBucketIsBelowTheShare(t *testing.T) {
	t.Parallel()
	for user, bucket := range map[string]int{
		"usr-1":                  3817,
		"usr-2":                  1014,
		"usr-100000000000000001": 1892,
	} {
		for share, want := range map[int]facts.Arm{bucket: facts.Control, bucket + 1: facts.Treatment} {
			x := learn(t, experiment.Shares{ExperimentSalt: "salt", DeviceLocalTreatmentShare: share})
			if got := arm(t, x, "pro-1", user, facts.DeviceLocalPasskey); got != want {
				t.Errorf("%s in bucket %d with share %d: %s, want %s", user, bucket, share, got, want)
			}
		}
	}
}

func TestArmsHoldTheirSharesAndDoNotDependOnOneAnother(t *testing.T) {
	t.Parallel()
	const users, share = 20_000, 3_000
	own := map[string]int{"other": share}
	x := learn(t, experiment.Shares{ExperimentSalt: "salt", DeviceLocalTreatmentShare: share, Experiments: own})
	grown := learn(t, experiment.Shares{ExperimentSalt: "salt", DeviceLocalTreatmentShare: 2 * share, Experiments: own})
	salted := learn(t, experiment.Shares{ExperimentSalt: "pepper", DeviceLocalTreatmentShare: share, Experiments: own})
	var treated, inBoth, inBothProjects, underBothSalts int
	for i := range users {
		user := "usr-" + strconv.Itoa(i)
		if arm(t, x, "pro-1", user, facts.DeviceLocalPasskey) != facts.Treatment {
			continue
		}
		treated++
		if arm(t, grown, "pro-1", user, facts.DeviceLocalPasskey) != facts.Treatment {
			t.Fatalf("%s left the treatment arm when its share grew", user)
		}
		inBoth += is(arm(t, x, "pro-1", user, "other"))
		inBothProjects += is(arm(t, x, "pro-2", user, facts.DeviceLocalPasskey))
		underBothSalts += is(arm(t, salted, "pro-1", user, facts.DeviceLocalPasskey))
	}
	for name, got := range map[string]float64{
		"treated":          float64(treated) / users,
		"treated in both":  float64(inBoth) / float64(treated),
		"in both projects": float64(inBothProjects) / float64(treated),
		"with either salt": float64(underBothSalts) / float64(treated),
	} {
		if math.Abs(got-float64(share)/10_000) > 0.02 {
			t.Errorf("%s: %.3f", name, got)
		}
	}
}

func is(a facts.Arm) int {
	if a == facts.Treatment {
		return 1
	}
	return 0
}

func TestTheEnginesOwnExperimentIsNotDefinedTwice(t *testing.T) {
	t.Parallel()
	_, err := experiment.Learn(experiment.Shares{Experiments: map[string]int{facts.DeviceLocalPasskey: 1}})
	if err == nil || !strings.Contains(err.Error(), "set deviceLocalTreatmentShare instead") {
		t.Errorf("got %v", err)
	}
}
