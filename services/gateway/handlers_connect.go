package gateway

import (
	"context"

	"github.com/keyward/keyward/services/gateway/internal/frontroute"
)

// ConnectLoginInit is POST /v2/connect/login/init.
func (h frontHandlers) ConnectLoginInit(ctx context.Context, r frontroute.ConnectLoginInitRequestObject) (frontroute.ConnectLoginInitResponseObject, error) {
	answer, err := h.ceremony.ConnectLoginInit(ctx, forVisit(ctx, *r.Body))
	if err != nil {
		return nil, err
	}
	tell(ctx, answer)
	return frontroute.ConnectLoginInit200JSONResponse(answer.Body), nil
}

// ConnectLoginStart is POST /v2/connect/login/start.
func (h frontHandlers) ConnectLoginStart(ctx context.Context, r frontroute.ConnectLoginStartRequestObject) (frontroute.ConnectLoginStartResponseObject, error) {
	answer, err := h.ceremony.ConnectLoginStart(ctx, forVisit(ctx, *r.Body))
	if err != nil {
		return nil, err
	}
	tell(ctx, answer)
	return frontroute.ConnectLoginStart200JSONResponse(answer.Body), nil
}

// ConnectLoginFinish is POST /v2/connect/login/finish.
func (h frontHandlers) ConnectLoginFinish(ctx context.Context, r frontroute.ConnectLoginFinishRequestObject) (frontroute.ConnectLoginFinishResponseObject, error) {
	answer, err := h.ceremony.ConnectLoginFinish(ctx, forVisit(ctx, *r.Body))
	if err != nil {
		return nil, err
	}
	tell(ctx, answer)
	return frontroute.ConnectLoginFinish200JSONResponse(answer.Body), nil
}

// ConnectAppendInit is POST /v2/connect/append/init.
func (h frontHandlers) ConnectAppendInit(ctx context.Context, r frontroute.ConnectAppendInitRequestObject) (frontroute.ConnectAppendInitResponseObject, error) {
	answer, err := h.ceremony.ConnectAppendInit(ctx, forVisit(ctx, *r.Body))
	if err != nil {
		return nil, err
	}
	tell(ctx, answer)
	return frontroute.ConnectAppendInit200JSONResponse(answer.Body), nil
}

// ConnectAppendStart is POST /v2/connect/append/start.
func (h frontHandlers) ConnectAppendStart(ctx context.Context, r frontroute.ConnectAppendStartRequestObject) (frontroute.ConnectAppendStartResponseObject, error) {
	answer, err := h.ceremony.ConnectAppendStart(ctx, forVisit(ctx, *r.Body))
	if err != nil {
		return nil, err
	}
	tell(ctx, answer)
	return frontroute.ConnectAppendStart200JSONResponse(answer.Body), nil
}

// ConnectAppendFinish is POST /v2/connect/append/finish.
func (h frontHandlers) ConnectAppendFinish(ctx context.Context, r frontroute.ConnectAppendFinishRequestObject) (frontroute.ConnectAppendFinishResponseObject, error) {
	answer, err := h.ceremony.ConnectAppendFinish(ctx, forVisit(ctx, *r.Body))
	if err != nil {
		return nil, err
	}
	tell(ctx, answer)
	return frontroute.ConnectAppendFinish200JSONResponse(answer.Body), nil
}

// ConnectManageInit is POST /v2/connect/manage/init.
func (h frontHandlers) ConnectManageInit(ctx context.Context, r frontroute.ConnectManageInitRequestObject) (frontroute.ConnectManageInitResponseObject, error) {
	answer, err := h.ceremony.ConnectManageInit(ctx, forVisit(ctx, *r.Body))
	if err != nil {
		return nil, err
	}
	tell(ctx, answer)
	return frontroute.ConnectManageInit200JSONResponse(answer.Body), nil
}

// ConnectManageList is POST /v2/connect/manage/list.
func (h frontHandlers) ConnectManageList(ctx context.Context, r frontroute.ConnectManageListRequestObject) (frontroute.ConnectManageListResponseObject, error) {
	answer, err := h.ceremony.ConnectManageList(ctx, forVisit(ctx, *r.Body))
	if err != nil {
		return nil, err
	}
	return frontroute.ConnectManageList200JSONResponse(answer), nil
}

// ConnectManageDelete is POST /v2/connect/manage/delete.
func (h frontHandlers) ConnectManageDelete(ctx context.Context, r frontroute.ConnectManageDeleteRequestObject) (frontroute.ConnectManageDeleteResponseObject, error) {
	answer, err := h.ceremony.ConnectManageDelete(ctx, forVisit(ctx, *r.Body))
	if err != nil {
		return nil, err
	}
	return frontroute.ConnectManageDelete200JSONResponse(answer), nil
}

// ConnectEventCreate is POST /v2/connect/events.
func (h frontHandlers) ConnectEventCreate(ctx context.Context, r frontroute.ConnectEventCreateRequestObject) (frontroute.ConnectEventCreateResponseObject, error) {
	if _, err := h.ceremony.ConnectEventCreate(ctx, forVisit(ctx, *r.Body)); err != nil {
		return nil, err
	}
	return frontroute.ConnectEventCreate204Response{}, nil
}

// ConnectEventsLowCreate is POST /v2/connect/eventsLow.
func (h frontHandlers) ConnectEventsLowCreate(ctx context.Context, r frontroute.ConnectEventsLowCreateRequestObject) (frontroute.ConnectEventsLowCreateResponseObject, error) {
	if _, err := h.ceremony.ConnectEventsLowCreate(ctx, forVisit(ctx, *r.Body)); err != nil {
		return nil, err
	}
	return frontroute.ConnectEventsLowCreate200JSONResponse{GenericJSONResponse: h.genericDone(ctx)}, nil
}

// ConnectProcessClear is POST /v2/connect/process/clear.
func (h frontHandlers) ConnectProcessClear(ctx context.Context, r frontroute.ConnectProcessClearRequestObject) (frontroute.ConnectProcessClearResponseObject, error) {
	answer, err := h.ceremony.ConnectProcessClear(ctx, forVisit(ctx, *r.Body))
	if err != nil {
		return nil, err
	}
	return frontroute.ConnectProcessClear200JSONResponse(answer), nil
}
