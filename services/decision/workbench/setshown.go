package workbench

import (
	"slices"
	"strconv"
	"time"

	"github.com/keyward/keyward/api/operator"
	"github.com/keyward/keyward/core/audit"
	"github.com/keyward/keyward/services/decision/internal/control"
	"github.com/keyward/keyward/services/decision/internal/release"
)

func value(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func indexed(n int) string { return "[" + strconv.Itoa(n) + "]" }

// moment is one that is absent if it is 0.
func moment(ms int64) *time.Time {
	if ms == 0 {
		return nil
	}
	return new(release.Time(ms))
}

// list is a list as the Operator API has it, without what has expired.
func (w *Workbench) list(l control.List) operator.OperatorList {
	told := operator.OperatorList{Name: l.Name, Kind: operator.OperatorListKind(l.Kind), Entries: []operator.OperatorListEntry{}}
	now := w.deps.Now().UnixMilli()
	for _, e := range l.Entries {
		if e.UntilMs == 0 || now < e.UntilMs {
			told.Entries = append(told.Entries, operator.OperatorListEntry{
				Entry: e.Entry, Until: moment(e.UntilMs), By: actorShown(e.By), At: release.Time(e.AtMs), Reason: text(e.Reason),
			})
		}
	}
	told.History = acts(l.History)
	return told
}

// acts come the newest first.
func acts(all []control.Act) *[]operator.OperatorAct {
	if len(all) == 0 {
		return nil
	}
	told := make([]operator.OperatorAct, 0, len(all))
	for _, a := range slices.Backward(all) {
		told = append(told, operator.OperatorAct{
			What: operator.OperatorActWhat(a.What), Entry: text(a.Entry), Until: moment(a.UntilMs), By: actorShown(a.By), At: release.Time(a.AtMs),
			Reason: text(a.Reason),
		})
	}
	return &told
}

// turned is a switch as the Operator API has it.
func (w *Workbench) turned(s control.Switch) operator.Switch {
	return operator.Switch{
		Name: s.Name, On: s.Active(w.deps.Now()), About: aboutShown(s.About), Until: moment(s.UntilMs), By: actorShown(s.By),
		At: release.Time(s.AtMs), Reason: text(s.Reason), History: acts(s.History),
	}
}

func about(a operator.SwitchAbout) control.About {
	of := control.About{Project: value(a.ProjectID), Browser: value(a.Browser)}
	if a.Action != nil {
		of.Action = string(*a.Action)
	}
	if a.OS != nil {
		of.OS = string(*a.OS)
	}
	return of
}

func aboutShown(a control.About) operator.SwitchAbout {
	told := operator.SwitchAbout{ProjectID: text(a.Project), Browser: text(a.Browser)}
	if a.Action != "" {
		told.Action = new(operator.SwitchAboutAction(a.Action))
	}
	if a.OS != "" {
		told.OS = new(operator.SwitchAboutOS(a.OS))
	}
	return told
}

func listAudited(l control.List) *audit.List {
	return &audit.List{Name: l.Name, Kind: string(l.Kind), Entries: len(l.Entries)}
}

func switchAudited(s control.Switch) *audit.Switch {
	return &audit.Switch{
		Name: s.Name, On: s.On, Project: s.About.Project, Action: s.About.Action, OS: s.About.OS, Browser: s.About.Browser, UntilMs: s.UntilMs,
	}
}
