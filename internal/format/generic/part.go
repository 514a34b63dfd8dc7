package generic

import (
	"net/http"
	"net/url"

	"github.com/go-json-experiment/json"

	"packhouse/internal/artifact"
	"packhouse/internal/digest"
	"packhouse/internal/fault"
	"packhouse/internal/format"
	"packhouse/internal/registry"
)

// A large file is sent in parts, in any order and at the same time, and an
// upload that broke off goes on with the parts that are missing:
//
//	POST ASSET?parts          the whole's SHA-256 and that of each part, in order
//	  202 {"missing": [...]}  nothing has happened; these are to be sent
//	  201                     the file was put together, as with PUT
//	PUT  ASSET?part=SHA256    one of them
//
// There is no session to open, to lose or to close: an upload is named by the
// file it is for, a part by its content.

// maxAssembly bounds the list of parts: MaxParts of some 100 bytes, with room.
const maxAssembly = 2 << 20

type (
	assemblyBody struct {
		SHA256 string     `json:"sha256"`
		Parts  []partBody `json:"parts"`
	}
	partBody struct {
		SHA256 string `json:"sha256"`
		Size   int64  `json:"size"`
	}
	missingBody struct {
		Missing []string `json:"missing"`
	}
)

// putPart takes one part.
func putPart(w http.ResponseWriter, r *format.Request, c artifact.Coordinates, version, name string) error {
	r.Operation = "part"
	if err := r.Repo.MayPublish(r.Context(), c); err != nil {
		return err
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "the query cannot be read")
	}
	want := query.Get("part")
	if err := checkHash("part", want); err != nil {
		return err
	}
	if promised, err := promise(r.Header); err != nil {
		return err
	} else if promised != "" && promised != want {
		return fault.New(fault.Invalid, "the header x-amz-content-sha256 and the query name different parts")
	}
	p, err := r.Repo.StagePart(r.Context(), c, version, name, want, registry.Announced(r.Body, r.ContentLength))
	if err != nil {
		return err
	}
	body, err := json.Marshal(partBody(p))
	if err != nil {
		return err
	}
	return format.Respond(w, http.StatusCreated, jsonType, body)
}

// assemble makes a file of its parts, or tells which are missing.
func assemble(w http.ResponseWriter, r *format.Request, c artifact.Coordinates, version, name string) error {
	r.Operation = "assemble"
	ctx := r.Context()
	if err := r.Repo.MayPublish(ctx, c); err != nil {
		return err
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "the query cannot be read")
	}
	if !query.Has("parts") {
		return fault.New(fault.Invalid, "POST puts a file together from its parts and needs ?parts; a whole file is sent with PUT")
	}
	status, err := statusWanted(query)
	if err != nil {
		return err
	}
	a := registry.Assembly{Version: version, Name: name}
	if err := readAssembly(r, &a); err != nil {
		return err
	}
	staged, missing, err := r.Repo.Assemble(ctx, c, a)
	if err != nil {
		return err
	}
	if len(missing) > 0 {
		body, err := json.Marshal(missingBody{missing})
		if err != nil {
			return err
		}
		return format.Respond(w, http.StatusAccepted, jsonType, body)
	}
	if err := publish(w, r, c, version, status, staged); err != nil {
		return err
	}
	// What this leaves behind is swept away in time.
	_ = r.Repo.ForgetParts(ctx, c, a)
	return nil
}

func readAssembly(r *format.Request, a *registry.Assembly) error {
	text, err := format.ReadBody(r.Body, maxAssembly)
	if err != nil {
		return err
	}
	var in assemblyBody
	if err := json.Unmarshal(text, &in); err != nil {
		return fault.Wrap(fault.Invalid, err, `the body must be {"sha256": HEX, "parts": [{"sha256": HEX, "size": BYTES}, ...]}`)
	}
	if err := checkHash("sha256", in.SHA256); err != nil {
		return err
	}
	if len(in.Parts) == 0 || len(in.Parts) > registry.MaxParts {
		return fault.Field("parts", "must be 1 to %d", registry.MaxParts)
	}
	a.SHA256 = in.SHA256
	for _, p := range in.Parts {
		if err := checkHash("parts", p.SHA256); err != nil {
			return err
		}
		if p.Size < 0 || p.Size > maxPart {
			return fault.Field("parts", "must have 0 to %d bytes each", int64(maxPart))
		}
		a.Parts = append(a.Parts, registry.Part(p))
	}
	return nil
}

// maxPart keeps sums of sizes far from overflowing.
const maxPart = 1 << 40

func checkHash(field, text string) error {
	var s digest.Set
	if err := s.SetHex(digest.SHA256, text); err != nil || text == "" || s.Hex(digest.SHA256) != text {
		return fault.Field(field, "must be a SHA-256 in 64 lower-case hexadecimal digits")
	}
	return nil
}
