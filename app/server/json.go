package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"unicode"
)

// WriteJSON writes a response with status and the JSON of body.
func WriteJSON(w http.ResponseWriter, status int, body any) error {
	encoded, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if _, err = w.Write(append(encoded, '\n')); err != nil {
		return &Error{Status: http.StatusInternalServerError, Text: "the answer could not be sent", Cause: err}
	}
	return nil
}

// ReadJSON decodes the request's body, one JSON value of type application/json, into target. Errors of the client are an
// *Error: 415 for another content type, else 400 with the field.
func ReadJSON(r *http.Request, target any) error {
	if given := r.Header.Get("Content-Type"); given != "" {
		if media, _, err := mime.ParseMediaType(given); err != nil || media != "application/json" {
			return &Error{Status: http.StatusUnsupportedMediaType, Text: "Content-Type: must be application/json"}
		}
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return bodyError(err)
	}
	if err := json.Unmarshal(body, target); err != nil {
		return BadRequest("%s", JSONErrorText("", err))
	}
	return nil
}

// JSONErrorText returns the text of a decoding error for a client, with the path of the field below prefix. It never contains a
// value.
func JSONErrorText(prefix string, err error) string {
	if element, ok := errors.AsType[elementError](err); ok {
		return JSONErrorText(fmt.Sprintf("%s[%d]", prefix, element.index), element.err)
	}
	where := "body"
	if prefix != "" {
		where = prefix
	}
	var typeError *json.UnmarshalTypeError
	if !errors.As(err, &typeError) {
		return where + ": not valid JSON"
	}
	if field := jsonPath(typeError.Field); field != "" {
		where = strings.TrimPrefix(prefix+"."+field, ".")
	}
	return fmt.Sprintf("%s: must be %s, not %s", where, jsonKind(typeError), strings.SplitN(typeError.Value, " ", 2)[0])
}

// jsonPath removes the names of embedded Go structs from a path; names in JSON objects are never capitalised.
func jsonPath(path string) string {
	names := strings.Split(path, ".")
	last := len(names) - 1
	objects := slices.DeleteFunc(names[:last:last], func(name string) bool {
		return name != "" && unicode.IsUpper(rune(name[0]))
	})
	return strings.Join(append(objects, names[last]), ".")
}

func jsonKind(e *json.UnmarshalTypeError) string {
	switch kind := e.Type.Kind().String(); {
	case strings.HasPrefix(kind, "int"), strings.HasPrefix(kind, "uint"):
		return "an integer"
	case strings.HasPrefix(kind, "float"):
		return "a number"
	case kind == "bool":
		return "true or false"
	case kind == "string":
		return "a string"
	case kind == "slice":
		return "an array"
	default:
		return "an object"
	}
}

// AtIndex returns a decoding error within the array element at index.
func AtIndex(index int, err error) error { return elementError{index, err} }

// elementError is a decoding error within an array element.
type elementError struct {
	index int
	err   error
}

// Error implements error.
func (w elementError) Error() string { return fmt.Sprintf("[%d]: %s", w.index, w.err) }

// Unwrap returns the error within the element.
func (w elementError) Unwrap() error { return w.err }
