//! Pages of lists.

use super::limits;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Which part of a list is wanted.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Asked {
    /// The most items; 50 unless said, at most 500. What is no number counts as not said.
    #[param(value_type = Option<u32>)]
    limit: Option<String>,
    /// How many items to pass over.
    #[param(value_type = Option<u32>)]
    offset: Option<String>,
}

/// A part of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Page<T> {
    /// The items.
    pub(crate) items: Vec<T>,
    /// How many the whole list has.
    pub(crate) total: usize,
    /// The most that this page could have.
    pub(crate) limit: usize,
    /// How many stand before it.
    pub(crate) offset: usize,
    /// Whether more stand behind it.
    pub(crate) has_more: bool,
}

/// Which part of a list is wanted that comes whole unless asked.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Wanted {
    /// The most items, at most 500; all unless said. What is no number counts as not said.
    #[param(value_type = Option<u32>)]
    limit: Option<String>,
    /// How many items to pass over; then `limit` is 50 unless said.
    #[param(value_type = Option<u32>)]
    offset: Option<String>,
}

/// Which part of a list it is; nothing where it is all of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Part {
    /// How many the whole list has.
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<usize>,
    /// The most that this part could have.
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<usize>,
    /// How many stand before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<usize>,
    /// Whether more stand behind it.
    #[serde(skip_serializing_if = "Option::is_none")]
    has_more: Option<bool>,
}

impl Part {
    /// Whether it is all of the list.
    pub(crate) fn is_whole(&self) -> bool {
        *self == Part::default()
    }
}

impl Wanted {
    /// The wanted part of a list.
    pub(crate) fn of<T>(self, all: Vec<T>) -> (Vec<T>, Part) {
        let asked = Asked { limit: self.limit, offset: self.offset };
        if asked.said_limit().is_none() && asked.offset() == 0 {
            return (all, Part::default());
        }
        let Page { items, total, limit, offset, has_more } = asked.of(all);
        let part = Part {
            total: Some(total),
            limit: Some(limit),
            offset: Some(offset),
            has_more: Some(has_more),
        };
        (items, part)
    }
}

impl Asked {
    fn said_limit(&self) -> Option<usize> {
        let limit = self.limit.as_deref().and_then(|limit| limit.parse().ok());
        limit.filter(|limit| *limit > 0)
    }

    fn limit(&self) -> usize {
        self.said_limit().unwrap_or(limits::PAGE).min(limits::LONGEST_PAGE)
    }

    /// The page of a list that is gone through once and never held.
    pub(crate) fn pick<T, E>(
        &self,
        all: impl Iterator<Item = Result<T, E>>,
        mut see: impl FnMut(&T),
    ) -> Result<Page<T>, E> {
        let (limit, offset) = (self.limit(), self.offset());
        let mut page = Page { items: Vec::new(), total: 0, limit, offset, has_more: false };
        for item in all {
            let item = item?;
            see(&item);
            if page.total >= offset && page.items.len() < limit {
                page.items.push(item);
            }
            page.total += 1;
        }
        page.has_more = offset.saturating_add(page.items.len()) < page.total;
        Ok(page)
    }

    fn offset(&self) -> usize {
        self.offset.as_deref().and_then(|offset| offset.parse().ok()).unwrap_or(0)
    }

    /// The wanted part of a list.
    pub(crate) fn of<T>(&self, all: Vec<T>) -> Page<T> {
        let (limit, offset, total) = (self.limit(), self.offset(), all.len());
        let items: Vec<T> = all.into_iter().skip(offset).take(limit).collect();
        let has_more = offset.saturating_add(items.len()) < total;
        Page { items, total, limit, offset, has_more }
    }
}

impl<T> Page<T> {
    /// The page with other items in place of these.
    pub(crate) fn map<U>(self, change: impl FnMut(T) -> U) -> Page<U> {
        let Page { items, total, limit, offset, has_more } = self;
        Page { items: items.into_iter().map(change).collect(), total, limit, offset, has_more }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(limit: &str, offset: &str) -> (Vec<u32>, usize, usize, bool) {
        let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let asked = Asked { limit: given(limit), offset: given(offset) };
        let page = asked.of((0..7).collect());
        (page.items, page.limit, page.offset, page.has_more)
    }

    #[test]
    fn a_page_is_a_part_of_the_list() {
        assert_eq!(page("3", "2"), (vec![2, 3, 4], 3, 2, true));
        assert_eq!(page("3", "4"), (vec![4, 5, 6], 3, 4, false));
        assert_eq!(page("", ""), ((0..7).collect(), 50, 0, false));
        assert_eq!(page("9999", "x"), ((0..7).collect(), 500, 0, false));
        assert_eq!(page("-1", "9"), (vec![], 50, 9, false));
        assert_eq!(page("0", "18446744073709551615").0, Vec::<u32>::new());
    }

    #[test]
    fn a_list_that_is_gone_through_has_the_same_pages() {
        for (limit, offset) in [("3", "2"), ("3", "4"), ("", ""), ("2", "9")] {
            let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
            let asked = Asked { limit: given(limit), offset: given(offset) };
            let mut seen = 0;
            let picked = asked.pick((0..7).map(Ok::<u32, ()>), |item| seen += item).unwrap();
            let picked = (picked.items, picked.limit, picked.offset, picked.has_more);
            assert_eq!((picked, seen), (page(limit, offset), 21));
        }
    }

    #[test]
    fn a_list_is_whole_unless_a_part_is_asked_for() {
        let of = |limit: Option<&str>, offset: Option<&str>| {
            let own = |text: Option<&str>| text.map(str::to_owned);
            Wanted { limit: own(limit), offset: own(offset) }.of((0..70).collect::<Vec<u32>>())
        };
        assert_eq!(of(None, None), ((0..70).collect(), Part::default()));
        assert_eq!(of(Some("x"), Some("0")), of(None, None));
        let (items, part) = of(Some("2"), Some("3"));
        assert_eq!((items, part.total, part.has_more), (vec![3, 4], Some(70), Some(true)));
        assert_eq!(of(None, Some("30")).0, (30..70).collect::<Vec<u32>>());
    }
}
