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

// reportRequest is one report in the body of reportUsage.
type reportRequest struct {
	UserID       string  `json:"user_id"`
	ResourceID   string  `json:"resource_id"`
	ResourceType string  `json:"resource_type"`
	DataChange   *int64  `json:"datachange"`
	Start        *string `json:"timespan_start"`
	End          *string `json:"timespan_end"`
}

// Years that every database can store.
const firstYear, lastYear = 1970, 9999

// MaxDataChange bounds the absolute value of a report's change, in bytes: 8 PiB, the largest integer that JSON numbers hold
// exactly for every client.
const MaxDataChange = 1<<53 - 1

// validate returns the report, or an error that names the field.
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

// parseTime parses a time and truncates it to the precision of the database.
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

// reportList decodes one report or an array of reports.
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
				return server.AtIndex(i, err)
			}
		}
		return nil
	}
	o.all = make([]reportRequest, 1)
	return json.Unmarshal(data, &o.all[0])
}

// fieldPath returns the path of a field in the body: with the index of its report in an array.
func (o reportList) fieldPath(index int, text string) string {
	if !o.many {
		return text
	}
	return fmt.Sprintf("[%d].%s", index, text)
}

// validate returns the reports, or a 400 that names the field of the first invalid one.
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

// report serves POST /api/combinator/reportUsage: it stores all reports or none.
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
