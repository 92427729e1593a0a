package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"app238.com/inner/app/identifier"
	"app238.com/inner/app/server"
	"app238.com/inner/modules/combinator/internal/store"
)

// reportRequest is one report of the body of reportUsage.
type reportRequest struct {
	UserID       string  `json:"user_id"`
	ResourceID   string  `json:"resource_id"`
	ResourceType string  `json:"resource_type"`
	DataChange   *int64  `json:"datachange"`
	Start        *string `json:"timespan_start"`
	End          *string `json:"timespan_end"`
}

// Years that every database can keep, and no clock of a pod should be beyond.
const firstYear, lastYear = 1970, 9999

// MaxDataChange bounds a report's change either way: what a number in JSON holds exactly for every client, 8 PiB.
const MaxDataChange = 1<<53 - 1

// check returns the report, or an error that names the field.
func (q reportRequest) validate() (store.Report, error) {
	r := store.Report{UserUID: q.UserID, ResourceID: q.ResourceID, ResourceType: q.ResourceType}
	if err := identifier.Check("user_id", q.UserID); err != nil {
		return r, err
	}
	if err := identifier.Check("resource_id", q.ResourceID); err != nil {
		return r, err
	}
	if q.ResourceType != store.RDB && q.ResourceType != store.KV {
		return r, errors.New("resource_type: must be rdb or kv")
	}
	if q.DataChange == nil {
		return r, errors.New("datachange: required")
	}
	if *q.DataChange < -MaxDataChange || *q.DataChange > MaxDataChange {
		return r, fmt.Errorf("datachange: must be %d to %d", -MaxDataChange, MaxDataChange)
	}
	r.DataChange = *q.DataChange
	var err error
	if r.Start, err = parseTime("timespan_start", q.Start); err != nil {
		return r, err
	}
	if r.End, err = parseTime("timespan_end", q.End); err != nil {
		return r, err
	}
	if r.End.Before(r.Start) {
		return r, errors.New("timespan_end: before timespan_start")
	}
	return r, nil
}

// moment reads a time as precisely as the database keeps it.
func parseTime(field string, text *string) (time.Time, error) {
	if text == nil {
		return time.Time{}, fmt.Errorf("%s: required", field)
	}
	t, err := time.Parse(time.RFC3339Nano, *text)
	if err != nil {
		return t, fmt.Errorf("%s: must be a time like 2006-01-02T15:04:05Z", field)
	}
	t = t.UTC().Truncate(time.Microsecond)
	if t.Year() < firstYear || t.Year() > lastYear {
		return t, fmt.Errorf("%s: not between the years %d and %d", field, firstYear, lastYear)
	}
	return t, nil
}

// oneOrMany decodes an object or an array of objects.
type reportList struct {
	many bool
	all  []reportRequest
}

// UnmarshalJSON decodes either form.
func (o *reportList) UnmarshalJSON(data []byte) error {
	if data = bytes.TrimSpace(data); len(data) > 0 && data[0] == '[' {
		o.many = true
		var elements []json.RawMessage
		if err := json.Unmarshal(data, &elements); err != nil {
			return err
		}
		o.all = make([]reportRequest, len(elements))
		for i, element := range elements {
			if err := json.Unmarshal(element, &o.all[i]); err != nil {
				return server.At(i, err)
			}
		}
		return nil
	}
	o.all = make([]reportRequest, 1)
	return json.Unmarshal(data, &o.all[0])
}

// where names a field of the body: within the report at an index, where there may be several.
func (o reportList) fieldPath(index int, text string) string {
	if !o.many {
		return text
	}
	return fmt.Sprintf("[%d].%s", index, text)
}

// check returns the reports, or an answer that names the field of the first one that is none.
func (o reportList) validate() ([]store.Report, error) {
	checked := make([]store.Report, len(o.all))
	for i, q := range o.all {
		valid, err := q.validate()
		if err != nil {
			return nil, server.BadRequest("%s", o.fieldPath(i, err.Error()))
		}
		checked[i] = valid
	}
	return checked, nil
}

// report serves POST /api/combinator/reportUsage: all reports are written, or none.
func (a *API) report(w http.ResponseWriter, r *http.Request) error {
	var body reportList
	if err := server.ReadJSON(r, &body); err != nil {
		return err
	}
	checked, err := body.validate()
	if err != nil {
		return err
	}
	err = a.store.SaveReports(r.Context(), server.Peer(r), checked)
	if unknown, ok := errors.AsType[*store.UnknownResourceError](err); ok {
		return server.BadRequest("%s", body.fieldPath(unknown.Index, "resource_id: no such resource of this user and type"))
	}
	if err != nil {
		return err
	}
	return server.WriteJSON(w, http.StatusOK, map[string]any{"message": "report received", "count": len(checked)})
}
