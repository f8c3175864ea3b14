package extension

import (
	"net/http"
	"time"
)

// sceneSummary is a scene as the list shows it.
type sceneSummary struct {
	Name    string    `json:"name"`
	Changed time.Time `json:"changed"`
}

func (h *Handler) listScenes(r *http.Request, _ []byte) (answer, error) {
	all, err := h.Control.Scenes(r.Context())
	list := make([]sceneSummary, 0, len(all))
	for _, s := range all {
		list = append(list, sceneSummary{s.Name, s.Changed})
	}
	return answer{value: map[string]any{"scenes": list}}, err
}

func (h *Handler) getScene(r *http.Request, _ []byte) (answer, error) {
	s, err := h.Control.Scene(r.Context(), r.PathValue("name"))
	return answer{value: s}, err
}

func (h *Handler) putScene(r *http.Request, body []byte) (answer, error) {
	s, err := h.Control.PutScene(r.Context(), r.PathValue("name"), body)
	return answer{value: s}, err
}

func (h *Handler) deleteScene(r *http.Request, _ []byte) (answer, error) {
	return answer{}, h.Control.DeleteScene(r.Context(), r.PathValue("name"))
}

func (h *Handler) listImages(r *http.Request, _ []byte) (answer, error) {
	list, err := h.Control.Images(r.Context())
	return answer{value: map[string]any{"images": list}}, err
}

func (h *Handler) getImage(r *http.Request, _ []byte) (answer, error) {
	img, data, err := h.Control.Image(r.Context(), r.PathValue("name"))
	return answer{data: data, contentType: img.Type}, err
}

func (h *Handler) putImage(r *http.Request, body []byte) (answer, error) {
	img, err := h.Control.PutImage(r.Context(), r.PathValue("name"), body)
	return answer{value: img}, err
}

func (h *Handler) deleteImage(r *http.Request, _ []byte) (answer, error) {
	return answer{}, h.Control.DeleteImage(r.Context(), r.PathValue("name"))
}
