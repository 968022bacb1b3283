package desk

import (
	"context"
	"slices"
	"time"

	"github.com/keyward/keyward/api/operator"
	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/audit"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/inquiry"
	"github.com/keyward/keyward/core/service"
)

// What there may not be.
var (
	errNoBar     = fault.Unknown("eventID").Named("bar-unknown")
	errNoSession = fault.Unknown("sessionID").Named("session-unknown")
)

// ActOnUser implements service.Desk.
func (s *Service) ActOnUser(ctx context.Context, req service.ForUser[inquiry.UserAct]) (operator.UserActed, error) {
	a, _, err := s.deps.Accounts.Get(ctx, req.Project, req.User)
	if err != nil {
		return operator.UserActed{}, err
	}
	told := audit.Event{Project: req.Project, User: req.User, Act: string(req.Body.Act), Reason: req.Body.Reason}
	acted := operator.UserActed{Act: req.Body.Act}
	switch req.Body.Act {
	case operator.UserActKindBarred:
		err = s.bar(ctx, req, &told, &acted)
	case operator.UserActKindBarLifted:
		err = s.lift(ctx, req, &told, &acted)
	case operator.UserActKindStatusSet:
		err = s.setStatus(ctx, req, &a, &told)
	case operator.UserActKindLabelled:
		err = s.label(ctx, req, &a, &told)
	case operator.UserActKindSessionsRevoked:
		err = s.revoke(ctx, req, &told, &acted)
	case operator.UserActKindPasskeyDeleted:
		told.Credential = req.Body.Credential
		_, err = s.deps.Passkeys.DeleteCredential(
			ctx, service.ForUser[ident.CredentialID]{Project: req.Project, User: req.User, Body: req.Body.Credential},
		)
	case operator.UserActKindErased:
		_, err = s.deps.Users.DeleteUser(ctx, service.ForUser[service.Empty]{Project: req.Project, User: req.User})
	default:
		return operator.UserActed{}, fault.Field("act", "is none that this version knows")
	}
	if err != nil {
		return operator.UserActed{}, err
	}
	s.tell(ctx, told)
	return acted, nil
}

// barring are the types of events that bar.
func barring() map[operator.UserBarKind]event.Type {
	return map[operator.UserBarKind]event.Type{
		operator.UserBarKindLogin:             event.UserLoginBlacklisted,
		operator.UserBarKindAppendAfterHybrid: event.AppendBlacklistedAfterHybrid,
		operator.UserBarKindAppendAfterError:  event.AppendBlacklistedAfterError,
	}
}

func (s *Service) bar(ctx context.Context, req service.ForUser[inquiry.UserAct], told *audit.Event, acted *operator.UserActed) error {
	bars, known := barring()[req.Body.Bar]
	if !known {
		return fault.Field("of", "is nothing that can be barred")
	}
	body := rest.PasskeyEventCreateReq{EventType: rest.PasskeyEventType(bars)}
	if req.Body.Seconds > 0 {
		// In milliseconds, so that a bar of a second is one.
		told.UntilMs = s.deps.Now().Add(time.Duration(req.Body.Seconds) * time.Second).UnixMilli()
		body.Expires = &told.UntilMs
	}
	made, err := s.deps.Events.Create(ctx, service.ForUser[rest.PasskeyEventCreateReq]{Project: req.Project, User: req.User, Body: body})
	if err != nil {
		return err
	}
	told.EventID, told.Now, acted.EventID = ident.EventID(made.PasskeyEventID), []string{string(req.Body.Bar)}, &made.PasskeyEventID
	return nil
}

// lift takes back a bar, and no other event.
func (s *Service) lift(ctx context.Context, req service.ForUser[inquiry.UserAct], told *audit.Event, acted *operator.UserActed) error {
	for kind, bars := range barring() {
		found, err := s.barsOf(ctx, req, bars)
		if err != nil {
			return err
		}
		if !slices.Contains(found, string(req.Body.Event)) {
			continue
		}
		told.EventID, told.Was = req.Body.Event, []string{string(kind)}
		acted.EventID = new(string(req.Body.Event))
		_, err = s.deps.Events.Delete(ctx, service.ForUser[ident.EventID]{Project: req.Project, User: req.User, Body: req.Body.Event})
		return errNoBar.Instead(err, fault.Unknown("passkeyEventID"))
	}
	return errNoBar
}

// allOfList is the largest page of a list: more bars, or sessions, of one user are worked off page after page.
const allOfList = 1000

func (s *Service) barsOf(ctx context.Context, req service.ForUser[inquiry.UserAct], bars event.Type) ([]string, error) {
	var ids []string
	for page := 1; ; page++ {
		list, err := s.deps.Events.List(ctx, service.ForUser[service.EventList]{Project: req.Project, User: req.User, Body: service.EventList{
			List: service.List{Filter: []string{"eventType:eq:" + string(bars)}, Page: page, PageSize: allOfList},
		}})
		if err != nil {
			return nil, err
		}
		for _, e := range list.PasskeyEvents {
			ids = append(ids, e.PasskeyEventID)
		}
		if page >= int(list.Paging.TotalPages) {
			return ids, nil
		}
	}
}

func (s *Service) setStatus(ctx context.Context, req service.ForUser[inquiry.UserAct], a *account.Account, told *audit.Event) error {
	told.Was, told.Now = []string{string(a.Status)}, []string{req.Body.Status}
	status := rest.UserStatus(req.Body.Status)
	body := rest.UserUpdateReq{Status: &status}
	_, err := s.deps.Users.UpdateUser(ctx, service.ForUser[rest.UserUpdateReq]{Project: req.Project, User: req.User, Body: body})
	return err
}

func (s *Service) label(ctx context.Context, req service.ForUser[inquiry.UserAct], a *account.Account, told *audit.Event) error {
	set, err := s.deps.Labels.SetUserLabels(ctx, service.ForUser[rest.UserLabels]{
		Project: req.Project, User: req.User, Body: rest.UserLabels{Labels: req.Body.Labels},
	})
	told.Was, told.Now = a.Labels, set.Labels
	return err
}

// revoke ends sessions of the user, one or all that are active. One that somebody opens meanwhile may be left.
func (s *Service) revoke(ctx context.Context, req service.ForUser[inquiry.UserAct], told *audit.Event, acted *operator.UserActed) error {
	active, err := s.active(ctx, req.Project, req.User)
	if err != nil {
		return err
	}
	if one := req.Body.Session; one != "" {
		if !slices.Contains(active, string(one)) {
			return errNoSession
		}
		active = []string{string(one)}
	}
	for _, id := range active {
		_, err := s.deps.Sessions.RevokeSession(ctx, service.ForProject[ident.SessionID]{Project: req.Project, Body: ident.SessionID(id)})
		if err != nil {
			return err
		}
	}
	told.Was, told.Count, acted.Count = active, len(active), new(int32(len(active)))
	return nil
}

// active are the IDs of a user's active sessions.
func (s *Service) active(ctx context.Context, project ident.ProjectID, user ident.UserID) ([]string, error) {
	var ids []string
	for page := 1; ; page++ {
		list, err := s.deps.Sessions.ListSessions(ctx, service.ForProject[service.List]{Project: project, Body: service.List{
			Filter: []string{"userID:eq:" + string(user), "status:eq:active"}, Page: page, PageSize: allOfList,
		}})
		if err != nil {
			return nil, err
		}
		for _, one := range list.Sessions {
			ids = append(ids, one.SessionID)
		}
		if page >= int(list.Paging.TotalPages) {
			return ids, nil
		}
	}
}
