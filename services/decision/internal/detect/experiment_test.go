package detect_test

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/policies"
	"github.com/keyward/keyward/services/decision/internal/detect"
	"github.com/keyward/keyward/services/decision/internal/facts"
)

// arms asks for one user's facts.
func arms(k *detect.Knowledge, project, user string) detect.Detection {
	q := service.Question{Project: ident.ProjectID(project), Account: &account.Account{ID: ident.UserID(user)}}
	return k.Login(detect.Input{Question: q, Complete: true, Now: now})
}

func arm(t *testing.T, d detect.Detection, experiment string) facts.Arm {
	t.Helper()
	for _, one := range d.Facts.Experiments {
		if one.Experiment == experiment {
			return one.Arm
		}
	}
	t.Fatalf("no arm of %s in %v", experiment, d.Facts.Experiments)
	return ""
}

func TestExperimentsThatRunAreToldAndTheOthersAreControl(t *testing.T) {
	t.Parallel()
	const everyone = 10_000
	for _, tc := range []struct {
		name        string
		share       int
		experiments map[string]any
		want        facts.Assignments
		told        []string
	}{
		{"none runs", 0, nil, facts.Assignments{{Experiment: facts.DeviceLocalPasskey, Arm: facts.Control}}, []string{}},
		{"one treats everyone", everyone, nil, facts.Assignments{{Experiment: facts.DeviceLocalPasskey, Arm: facts.Treatment}}, []string{"device-local-platform-passkey:treatment"}},
		{
			"a bundle's own, sorted", everyone, map[string]any{"zeal": everyone, "ardour": everyone, "rest": 0},
			facts.Assignments{{Experiment: "ardour", Arm: facts.Treatment}, {Experiment: facts.DeviceLocalPasskey, Arm: facts.Treatment}, {Experiment: "rest", Arm: facts.Control}, {Experiment: "zeal", Arm: facts.Treatment}},
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
			if tc.experiments == nil {
				tc.experiments = map[string]any{}
			}
			k := knowledge(t, set("deviceLocalTreatmentShare", tc.share), set("experiments", tc.experiments), set("experimentSalt", "salt"))
			d := arms(k, "pro-1", "usr-1")
			if diff := cmp.Diff(tc.want, d.Facts.Experiments); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if diff := cmp.Diff(tc.told, d.Experiments); diff != "" {
				t.Errorf("told (-want +got)\n%s", diff)
			}
		})
	}
}

func TestSomebodyUnknownTakesPartInNoExperiment(t *testing.T) {
	t.Parallel()
	k := knowledge(t, set("deviceLocalTreatmentShare", 10_000))
	d := k.Login(detect.Input{Question: service.Question{Project: "pro-1"}, Complete: true, Now: now})
	if len(d.Facts.Experiments) != 0 || d.Experiments == nil || len(d.Experiments) != 0 {
		t.Errorf("facts %v, told %v", d.Facts.Experiments, d.Experiments)
	}
	if m := k.Mediation(service.Question{Project: "pro-1"}); m.Experiments == nil || len(m.Experiments) != 0 {
		t.Errorf("mediation tells %v", m.Experiments)
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
			k := knowledge(t, set("experimentSalt", "salt"), set("deviceLocalTreatmentShare", share))
			if got := arm(t, arms(k, "pro-1", user), facts.DeviceLocalPasskey); got != want {
				t.Errorf("%s in bucket %d with share %d: %s, want %s", user, bucket, share, got, want)
			}
		}
	}
}

func TestArmsHoldTheirSharesAndDoNotDependOnOneAnother(t *testing.T) {
	t.Parallel()
	const users, share = 20_000, 3_000
	own := map[string]any{"other": share}
	k := knowledge(t, set("experimentSalt", "salt"), set("deviceLocalTreatmentShare", share), set("experiments", own))
	grown := knowledge(t, set("experimentSalt", "salt"), set("deviceLocalTreatmentShare", 2*share), set("experiments", own))
	salted := knowledge(t, set("experimentSalt", "pepper"), set("deviceLocalTreatmentShare", share), set("experiments", own))
	var treated, inBoth, inBothProjects, underBothSalts int
	for i := range users {
		user := "usr-" + strconv.Itoa(i)
		d := arms(k, "pro-1", user)
		if arm(t, d, facts.DeviceLocalPasskey) != facts.Treatment {
			continue
		}
		treated++
		if arm(t, arms(grown, "pro-1", user), facts.DeviceLocalPasskey) != facts.Treatment {
			t.Fatalf("%s left the treatment arm when its share grew", user)
		}
		inBoth += is(arm(t, d, "other"))
		inBothProjects += is(arm(t, arms(k, "pro-2", user), facts.DeviceLocalPasskey))
		underBothSalts += is(arm(t, arms(salted, "pro-1", user), facts.DeviceLocalPasskey))
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
	raw, err := policies.Bundle.ReadFile("data.json")
	if err != nil {
		t.Fatal(err)
	}
	var data map[string]any
	if err := json.Unmarshal(raw, &data); err != nil {
		t.Fatal(err)
	}
	data["keyward"].(map[string]any)["parameters"].(map[string]any)["experiments"] = map[string]any{facts.DeviceLocalPasskey: 1}
	if _, err := detect.Learn(data); err == nil || !strings.Contains(err.Error(), "set deviceLocalTreatmentShare instead") {
		t.Errorf("got %v", err)
	}
}
